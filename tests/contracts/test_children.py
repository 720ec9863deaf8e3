"""Tokens made from a key draw on its budget beside their own: whatever is made, spent, settled and forgotten, both hold, and the
counters are what a model of sums says."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import BudgetRule, Claim, LimitExceeded, Meter
from gateway_proxy.limits.memory import MemoryLimiter
from tests.support.redis import RedisServer
from tests.support.shared_limits import BlockingLimiter

CAP, PART = 1000, 400
CHILDREN = ("one", "two", "three")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["spend", "spend", "settle", "end"]),
        st.sampled_from(("parent", *CHILDREN)),
        st.integers(1, 300),
    ),
    max_size=40,
)


def key(name: str, cap: int) -> Key:
    return Key(
        id=name,
        name=name,
        organization="o",
        owner="local",
        budget_nanos=cap,
        budget_period=BudgetPeriod.TOTAL,
    )


KEYS = {"parent": key("parent", CAP), **{name: key(name, PART) for name in CHILDREN}}


RULES = {name: BudgetRule(made.budget_nanos or 0, BudgetPeriod.TOTAL, "UTC") for name, made in KEYS.items()}


def walk(limiter: Any, prefix: str, steps: list[tuple[str, str, int]]) -> None:
    """`prefix` sets the keys apart from those of another walk."""
    spent = dict.fromkeys(KEYS, 0)
    reserved = dict.fromkeys(KEYS, 0)
    leases: list[tuple[Any, tuple[str, ...], int]] = []
    ended: set[str] = set()

    def name_of(one: str) -> str:
        return prefix + one

    def make_claim(one: str, amount: int) -> Claim:
        return Claim(name_of(one), Meter.NANOS, RULES[one], amount)

    for act, name, amount in steps:
        if act == "end":
            ended.add(name)  # revoked or expired: nothing new, what runs is still charged
        elif act == "settle" and leases:
            lease, payers, bound = leases.pop(amount % len(leases))
            charged = amount % (bound + 1)
            limiter.settle_nanos(lease, charged)
            for payer in payers:
                reserved[payer] -= bound
                spent[payer] += charged
        elif act == "spend" and name not in ended:
            payers = ("parent",) if name == "parent" else (name, "parent")
            fits = all(spent[one] + reserved[one] + amount <= (KEYS[one].budget_nanos or 0) for one in payers)
            try:
                lease = limiter.acquire(
                    tuple(make_claim(one, amount) for one in payers),
                    key_ids=tuple(name_of(one) for one in payers),
                )
            except LimitExceeded:
                assert not fits, "a false refusal"
                continue
            assert fits
            leases.append((lease, payers, amount))
            for payer in payers:
                reserved[payer] += amount
        assert (
            sum(spent[one] + reserved[one] for one in CHILDREN) <= spent["parent"] + reserved["parent"] <= CAP
        )
    for name in KEYS:
        exceeded = limiter.probe(make_claim(name, CAP + 1))
        assert isinstance(exceeded, LimitExceeded) and exceeded.budget is not None
        assert (exceeded.budget.spent_nanos, exceeded.budget.reserved_nanos) == (spent[name], reserved[name])


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_in_memory(steps: list[tuple[str, str, int]]) -> None:
    limiter = MemoryLimiter(FakeClock())
    for job in limiter.begin_rebuilds(list(KEYS.values())):
        limiter.finish_rebuild(job, 0)
    walk(limiter, "", steps)


@pytest.fixture(scope="module")
def shared(redis_server: RedisServer) -> Iterator[BlockingLimiter]:
    redis_server.run("FLUSHALL")
    made = BlockingLimiter(redis_server.url, FakeClock())
    yield made
    made.close()


_walks = iter(range(1_000_000))


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(steps=STEPS)
def test_on_a_server(shared: BlockingLimiter, steps: list[tuple[str, str, int]]) -> None:
    walk(_Family(shared), f"{next(_walks)}-", steps)


class _Family:
    """Looks at budgets under their own root key."""

    def __init__(self, limiter: BlockingLimiter) -> None:
        self._limiter = limiter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._limiter, name)

    def probe(self, claim: Claim) -> Any:
        prefix = claim.key_id.partition("-")[0]
        return self._limiter.probe(claim, root=f"{prefix}-parent")
