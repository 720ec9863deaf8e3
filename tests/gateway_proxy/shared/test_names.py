"""Keys on the server, and names of leases."""

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.core.limiter import BucketRule, BudgetRule, Claim, Meter, SlotsRule
from gateway_proxy.limits.periods import TOTAL
from gateway_proxy.shared.names import Names, span_of, split_lease, write_claims


def test_all_of_one_root_key_carries_one_tag_and_the_epoch() -> None:
    names = Names("e7")
    every = [
        names.entries("key_a"), names.budget("key_a", "tok_b"), names.slots("key_a", "key_a"),
        names.requests("key_a", "key_a"), names.tokens("key_a", "key_a"),
    ]  # fmt: skip
    assert len(set(every)) == len(every)
    assert all("{key_a}" in name and ":e7:" in name and Names.root_of(name) == "key_a" for name in every)
    assert names.budget("key_a", "tok_b") == names.budgets("key_a") + "tok_b"


def test_the_name_of_a_lease_says_which_row_pays_for_it() -> None:
    assert split_lease("gtw_1/0.ab~req_x~2") == ("gtw_1/0.ab", "req_x", 2)
    assert split_lease("gtw_1/0.ab~-7") is None


def test_claims_are_written_in_their_order() -> None:
    claims = (
        Claim("k", Meter.PARALLEL, SlotsRule(2), 1),
        Claim("k", Meter.TOKENS, BucketRule(60, 30), 5),
        Claim("k", Meter.NANOS, BudgetRule(9, BudgetPeriod.TOTAL, "UTC"), 4),
    )
    keys, arguments = write_claims(claims, Names("e"), "k", {"k": TOTAL})
    assert [key.rpartition("}:")[2][:1] for key in keys] == ["x", "p", "t", "b"]
    assert arguments == [
        "p",
        1,
        2,
        "",
        "",
        "",
        "q",
        5,
        60,
        30,
        "",
        "",
        "b",
        4,
        9,
        "total",
        span_of(TOTAL),
        "k",
    ]
