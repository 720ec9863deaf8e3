"""What one key has spent and reserved, per budget period.

A `Track` follows the periods of one rule, a `Spend` is one period's counter, an `Account` is the key: the
track in force, one that is being rebuilt beside it, and the live leases. The sum of a rebuild comes from
outside; this module only makes sure that nothing settled meanwhile is lost or counted twice.
"""

from typing import NamedTuple

from gateway_proxy.core.key import BudgetPeriod, Key
from gateway_proxy.core.limiter import BudgetRule, Lease
from gateway_proxy.limits.periods import FAR_MS, Window, find_window

# More than any budget: beyond it nothing is left to announce.
FAR_NANOS = 1 << 63


class BudgetEvent(NamedTuple):
    """A threshold that was reached (`budget.threshold`), or a budget that is used up (`budget.exceeded`)."""

    key_id: str
    kind: str
    percent: int
    period: str
    limit_nanos: int
    spent_nanos: int

    @property
    def dedupe(self) -> str:
        """The identity that makes the event happen once, over restarts too."""
        return f"{self.kind}:{self.key_id}:{self.period}:{self.limit_nanos}:{self.percent}"


_NOTHING_FIRED: frozenset[tuple[str, int, int]] = frozenset()  # (kind, limit, percent)


class Spend:
    """The counter of one period, in nano-USD."""

    __slots__ = ("end_ms", "fired", "label", "quiet_below", "reserved", "resets_at", "spent", "start_ms")

    def __init__(self, window: Window) -> None:
        self.label = window.label
        self.start_ms = window.start_ms
        self.end_ms = FAR_MS if window.end_ms is None else window.end_ms
        self.resets_at = window.end_ms
        self.spent = 0
        self.reserved = 0
        self.fired = _NOTHING_FIRED
        self.quiet_below = 0  # while less is spent, no threshold can fire


class Track:
    """The periods of one rule: the present one and the one that was present before.

    A period that has begun since the track exists starts at 0. When the wall clock is set back by more than
    one period, the counter is unknown until it is rebuilt.
    """

    __slots__ = ("_frontier_ms", "current", "other", "period", "timezone")

    def __init__(self, period: BudgetPeriod, timezone: str, now_ms: int) -> None:
        self.period = period
        self.timezone = timezone
        self.current = Spend(find_window(period, timezone, now_ms))
        self.other: Spend | None = None
        self._frontier_ms = self.current.end_ms

    def at(self, at_ms: int) -> Spend | None:
        """The counter of the period that contains `at_ms`; None if it is not (or no longer) known."""
        current = self.current
        if current.start_ms <= at_ms < current.end_ms:
            return current
        other = self.other
        if other is not None and other.start_ms <= at_ms < other.end_ms:
            return other
        if at_ms < self._frontier_ms:
            return None
        self.other = current
        self.current = Spend(find_window(self.period, self.timezone, at_ms))
        self._frontier_ms = self.current.end_ms
        return self.current


class Rebuild:
    """A counter being rebuilt: the sum over `window` is still to come, everything since is counted already."""

    __slots__ = ("account", "key", "spend", "track")

    def __init__(self, account: "Account", key: Key, track: Track) -> None:
        self.account = account
        self.key = key
        self.track = track
        self.spend = track.current

    @property
    def window(self) -> tuple[str, int, int]:
        """(key id, start ms inclusive, end ms exclusive), as the store wants it."""
        return self.account.key_id, self.spend.start_ms, self.spend.end_ms


class Account:
    """One key's budget. Settling books a charge into every track, in the period of its admission."""

    __slots__ = (
        "_accepted", "events", "former", "key_id", "limit_nanos", "live", "pending", "thresholds", "track",
    )  # fmt: skip

    def __init__(self, key_id: str, events: list[BudgetEvent]) -> None:
        self.key_id = key_id
        self.limit_nanos = 0
        self.thresholds: tuple[int, ...] = ()
        self.track: Track | None = None
        self.pending: Track | None = None
        self.former: tuple[BudgetPeriod, str] | None = None
        self.live: dict[Lease, int] = {}  # nano-USD reserved
        self.events = events
        self._accepted: BudgetRule | None = None  # the last that `find` knew, of the tracks as they are

    def find(self, rule: BudgetRule, at_ms: int) -> Spend | None:
        """The counter for claims under this rule; None while it is unknown."""
        track = self.track
        if track is None:
            return None
        if rule is not self._accepted:
            if (rule.period is not track.period or rule.timezone != track.timezone) and self.former != (
                rule.period,
                rule.timezone,
            ):
                return None  # neither the rule in force nor the one before it, which a running request may still hold
            self._accepted = rule
        return track.at(at_ms)

    def reserve(self, lease: Lease, amount: int, rule: BudgetRule) -> Spend | None:
        """Hold `amount` of the period in force for a lease; again for the same lease: on top.

        Returns the period's counter; None, and nothing is held, while it is unknown or has too little left.
        """
        at_ms = lease.admitted_at
        spend = self.find(rule, at_ms)
        if spend is None:
            return None
        reserved = spend.reserved + amount
        if amount and spend.spent + reserved > rule.limit_nanos:
            return None
        spend.reserved = reserved
        live = self.live
        live[lease] = live.get(lease, 0) + amount
        if self.pending is not None and (twin := self.pending.at(at_ms)) is not None:
            twin.reserved += amount
        return spend

    def settle(self, lease: Lease, charged: int) -> int:
        """Book a charge and end the lease's reservation; returns what was reserved."""
        reserved = self.live.pop(lease, 0)
        at_ms, track = lease.admitted_at, self.track
        if track is not None and (spend := track.at(at_ms)) is not None:
            spend.reserved -= reserved
            spend.spent += charged
            if spend.spent >= spend.quiet_below:
                self.notice(spend)
        if self.pending is not None and (twin := self.pending.at(at_ms)) is not None:
            twin.reserved -= reserved
            twin.spent += charged
        return reserved

    def drop(self) -> None:
        """The key has no budget any more."""
        self.track = self.pending = self.former = self._accepted = None

    def begin(self, key: Key, now_ms: int) -> Rebuild:
        """Start a new track beside the one in force; a rebuild begun earlier is void from now on."""
        track = Track(key.budget_period, key.budget_timezone, now_ms)
        rebuild = Rebuild(self, key, track)
        for lease, amount in self.live.items():
            if (spend := track.at(lease.admitted_at)) is not None:
                spend.reserved += amount
        self.pending = track
        return rebuild

    def finish(self, rebuild: Rebuild, sum_nanos: int) -> bool:
        """Put the rebuilt track in force; False if the rebuild was void."""
        if self.pending is not rebuild.track:
            return False
        rebuild.spend.spent += sum_nanos
        if self.track is not None:
            self.former = (self.track.period, self.track.timezone)
            self._inherit_fired(self.track, rebuild.track)
        self.track, self.pending, self._accepted = rebuild.track, None, None
        self.adopt(rebuild.key)
        return True

    def adopt(self, key: Key) -> None:
        """Take limit and thresholds from an edited key; those already reached fire."""
        self.limit_nanos = key.budget_nanos or 0
        self.thresholds = key.alert_thresholds
        if self.track is None:
            return
        if self.track.other is not None:
            self.track.other.quiet_below = 0
        self.notice(self.track.current)

    @staticmethod
    def _inherit_fired(old: Track, new: Track) -> None:
        for spend in (old.current, old.other):
            if spend is not None and spend.label == new.current.label:
                new.current.fired |= spend.fired

    def notice(self, spend: Spend) -> None:
        """Fire the thresholds that settled spend has reached."""
        spent, limit = spend.spent, self.limit_nanos
        if spent <= 0:
            return
        ahead = []
        for kind, percent in (*(("budget.threshold", p) for p in self.thresholds), ("budget.exceeded", 100)):
            if spent * 100 >= percent * limit:
                self._fire(spend, kind, percent)
            else:
                ahead.append(-(-percent * limit // 100))
        spend.quiet_below = min(ahead, default=FAR_NANOS)

    def notice_refusal(self, spend: Spend) -> bool:
        """A request that the whole budget could have paid was refused; True the first time in the period."""
        if 100 in self.thresholds:
            self._fire(spend, "budget.threshold", 100)
        self._fire(spend, "budget.exceeded", 100)
        mark = ("refused", self.limit_nanos, 100)
        first = mark not in spend.fired
        spend.fired |= {mark}
        return first

    def _fire(self, spend: Spend, kind: str, percent: int) -> None:
        mark = (kind, self.limit_nanos, percent)
        if mark not in spend.fired:
            spend.fired |= {mark}
            self.events.append(
                BudgetEvent(self.key_id, kind, percent, spend.label, self.limit_nanos, spend.spent)
            )
