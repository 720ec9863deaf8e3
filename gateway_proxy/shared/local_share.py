"""What one gateway grants by itself while the shared counters cannot be asked: its part of each limit, and no money.

The parts of all gateways add up to the limit, so that together they admit no more than it. Which part falls to whom follows
from the names of the gateways that lived when the server was last heard of.
"""

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.limiter import BucketRule, Claim, LimitExceeded, Meter, SlotsRule
from gateway_proxy.limits.memory import SLOT_RETRY_MS, MemoryLease, MemoryLimiter

_MOST_RULES = 10_000


class LocalShare:
    """Grants of claims that are not about money. Raises LimitExceeded like any limiter."""

    def __init__(self, clock: Clock) -> None:
        self.limiter = MemoryLimiter(clock)
        self._gateways = 1
        self._place = 0
        self._rules: dict[BucketRule | SlotsRule, BucketRule | SlotsRule] = {}

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

    def acquire(self, claims: tuple[Claim, ...]) -> MemoryLease:
        """All of them or none, of this gateway's part."""
        parts = tuple(Claim(c.key_id, c.meter, self._part_of(c.rule), c.amount) for c in claims)
        try:
            return self.limiter.acquire(parts)
        except LimitExceeded as exceeded:
            claim = claims[parts.index(exceeded.claim)]
            wait = exceeded.retry_after_ms
            if wait is None and claim.amount <= _most(claim):
                wait = SLOT_RETRY_MS  # the whole limit could grant it
            raise LimitExceeded(claim, available=exceeded.available, retry_after_ms=wait) from None

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
