"""What one gateway grants by itself while the shared counters cannot be asked: its part of each limit, and no money.

The parts of all gateways add up to the limit, so that together they admit no more than it. Which part falls to whom follows
from the names of the gateways that lived when the server was last heard of. A bucket's part begins with its part of what was last
heard to be in the bucket, and what was taken of it meanwhile is told to the server when it is back.
"""

from collections.abc import Callable
from typing import NamedTuple

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.limiter import BucketRule, Claim, LimitExceeded, Meter, SlotsRule
from gateway_proxy.limits.arithmetic import MINUTE_NS, Bucket
from gateway_proxy.limits.memory import MemoryLease, MemoryLimiter
from gateway_proxy.limits.refusals import SLOT_RETRY_MS

_MOST_RULES = 10_000
Known = Callable[[Meter, str], Bucket | None]


class Debt(NamedTuple):
    """Units of a claim's bucket that were taken without the server."""

    root: str
    claim: Claim
    units: int


class _Begun(NamedTuple):
    root: str
    claim: Claim
    part: Claim
    untouched: Bucket  # as the part would be if nobody had taken anything


class LocalShare:
    """Grants of claims that are not about money. Raises LimitExceeded like any limiter."""

    def __init__(self, clock: Clock) -> None:
        self.limiter = MemoryLimiter(clock)
        self._gateways = 1
        self._place = 0
        self._monotonic_ns = clock.monotonic_ns
        self._rules: dict[BucketRule | SlotsRule, BucketRule | SlotsRule] = {}
        self._begun: dict[tuple[Meter, str], _Begun] = {}

    @property
    def gateways(self) -> int:
        """Among how many the limits are divided."""
        return self._gateways

    def divide(self, parts: list[str], own: str) -> None:
        """Among these, which live now."""
        everybody = sorted({*parts, own})
        gateways, place = len(everybody), everybody.index(own)
        if (gateways, place) != (self._gateways, self._place):
            self._gateways, self._place = gateways, place
            self._rules.clear()

    @property
    def is_in_use(self) -> bool:
        """Whether something was granted from here since the last `end`."""
        return bool(self._begun)

    def acquire(
        self, claims: tuple[Claim, ...], root: str = "", known: Known = lambda meter, key_id: None
    ) -> MemoryLease:
        """All of them or none, of this gateway's part. `known` gives shared buckets as they were last heard of."""
        parts = tuple(Claim(c.key_id, c.meter, self._part_of(c.rule), c.amount) for c in claims)
        for claim, part in zip(claims, parts, strict=True):
            if claim.meter is not Meter.PARALLEL and (claim.meter, claim.key_id) not in self._begun:
                self._begin(root, claim, part, known(claim.meter, claim.key_id))
        try:
            return self.limiter.acquire(parts)
        except LimitExceeded as exceeded:
            claim = claims[parts.index(exceeded.claim)]
            wait = exceeded.retry_after_ms
            if wait is None and claim.amount <= _most(claim):
                wait = SLOT_RETRY_MS  # the whole limit could grant it
            raise LimitExceeded(claim, available=exceeded.available, retry_after_ms=wait) from None

    def end(self) -> list[Debt]:
        """The server answers again: what it has to hear of."""
        now_ns = self._monotonic_ns()
        debts = [
            Debt(begun.root, begun.claim, units)
            for begun in self._begun.values()
            if (
                units := begun.untouched.available(now_ns)
                - self.limiter.bucket_of(begun.part).available(now_ns)
            )
            > 0
        ]
        self._begun.clear()
        return debts

    def _begin(self, root: str, claim: Claim, part: Claim, known: Bucket | None) -> None:
        now_ns, rule = self._monotonic_ns(), part.rule
        assert isinstance(rule, BucketRule)
        level = rule.capacity * MINUTE_NS
        if known is not None:
            level = known.available(now_ns) * MINUTE_NS // self._gateways
        untouched = Bucket(rule, now_ns)
        for bucket in (untouched, self.limiter.bucket_of(part)):
            bucket.set(rule, level, now_ns)
        self._begun[claim.meter, claim.key_id] = _Begun(root, claim, part, untouched)

    def _part_of(self, rule: object) -> BucketRule | SlotsRule:
        assert isinstance(rule, BucketRule | SlotsRule)
        part = self._rules.get(rule)
        if part is None:
            if len(self._rules) >= _MOST_RULES:
                self._rules.clear()
            if isinstance(rule, BucketRule):
                part = BucketRule(self._divide(rule.per_minute), self._divide(rule.capacity))
            else:
                part = SlotsRule(self._divide(rule.limit))
            self._rules[rule] = part
        return part

    def _divide(self, number: int) -> int:
        whole, rest = divmod(number, self._gateways)
        return whole + (self._place < rest)


def _most(claim: Claim) -> int:
    rule = claim.rule
    if isinstance(rule, BucketRule):
        return rule.capacity if rule.per_minute else -1
    return rule.limit if isinstance(rule, SlotsRule) and claim.meter is Meter.PARALLEL else -1
