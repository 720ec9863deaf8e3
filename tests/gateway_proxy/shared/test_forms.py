"""Commands that are written from a part that stays: the same bytes as if each were packed anew."""

import hiredis

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BucketRule, BudgetRule, Claim, Meter, SlotsRule
from gateway_proxy.limits.periods import TOTAL, Window
from gateway_proxy.shared.forms import MOST_KEPT, Forms
from gateway_proxy.shared.leases import Finish
from gateway_proxy.shared.names import EPOCH, Names, span_of
from gateway_proxy.shared.scripts import ACQUIRE, FINISH

NAMES = Names("e")
SPEAKER = ("e", "c:gtw/0.a", 3)
TOKENS = Claim("k", Meter.TOKENS, BucketRule(60, 30), 5)
CLAIMS = (
    Claim("k", Meter.PARALLEL, SlotsRule(2), 1),
    TOKENS,
    Claim("k", Meter.NANOS, BudgetRule(9, BudgetPeriod.TOTAL, "UTC"), 4),
)


def forms() -> Forms:
    made = Forms()
    made.begin(NAMES, SPEAKER)
    return made


def parse(command: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(command)
    parsed = reader.gets()
    assert isinstance(parsed, list)
    return parsed


def words(*parts: object) -> list[bytes]:
    return [str(part).encode() for part in parts]


def test_claims_are_written_in_their_order() -> None:
    form = forms().find_acquire(CLAIMS, "k", 0, lambda claims: {"k": TOTAL})
    assert parse(form.write("", "name", "take", "", "1,5,4", "")) == words(
        "EVALSHA", ACQUIRE.digest, 5, EPOCH, NAMES.entries("k"), *(NAMES.counter("k", claim) for claim in CLAIMS),
        *SPEAKER, "", "name", "take", "", "1,5,4", "",
        "p", 2, "", "", "", "q", 60, 30, "", "", "b", 9, "total", span_of(TOTAL), "k",
    )  # fmt: skip
    assert not form.has_twins


def test_an_end_is_written_as_its_script_takes_it() -> None:
    finish = Finish("name", "k", 7, 100, [("k", "total")], ("k",), [(TOKENS, -2)])
    form = forms().find_finish(finish)
    assert parse(form.write("", "name", "7", "100", "-2", "")) == words(
        "EVALSHA", FINISH.digest, 5, EPOCH, NAMES.entries("k"), NAMES.budget("k", "k"), NAMES.slots("k", "k"),
        NAMES.counter("k", TOKENS), *SPEAKER, "", "name", "7", "100", "-2", "", 1, 1, "k", "total", 60, 30,
    )  # fmt: skip


def test_one_is_found_again_while_rules_period_and_connection_are_the_same() -> None:
    kept, windows = forms(), [Window("day:1", 0, 1000), Window("day:2", 1000, 2000)]

    def find(now_ms: int, claims: tuple[Claim, ...] = CLAIMS) -> object:
        return kept.find_acquire(claims, "k", now_ms, lambda claims: {"k": windows[now_ms // 1000]})

    first = find(0)
    assert find(999) is first and find(1000) is not first
    again = find(1500)
    assert find(1999) is again
    other = (Claim("k", Meter.PARALLEL, SlotsRule(3), 1),)
    assert find(1999, other) is not again and find(1999) is again
    twins = kept.find_acquire((TOKENS, TOKENS), "k", 0, lambda claims: {})
    assert twins.has_twins
    kept.begin(NAMES, ("e", "c:gtw/0.a", 4))
    assert find(1999) is not again


def test_there_are_never_many() -> None:
    kept = forms()
    for number in range(MOST_KEPT + 10):
        kept.find_acquire((TOKENS,), f"k{number}", 0, lambda claims: {})
    assert len(kept._acquire) <= MOST_KEPT
