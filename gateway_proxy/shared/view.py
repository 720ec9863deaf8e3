"""How the shared counters stood when the server last told of them: what headers, caps and alerts are made from.

Nothing is decided here. Buckets go on refilling by this machine's monotonic clock until they are heard of again.
"""

from collections.abc import Callable, Iterator
from itertools import islice

from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import BucketRule, Meter
from gateway_proxy.limits.arithmetic import Bucket
from gateway_proxy.limits.budget import Account as Alerts
from gateway_proxy.limits.budget import BudgetEvent, Spend
from gateway_proxy.limits.periods import Window

MICROSECOND_NS = 1000
MOST_REMEMBERED = 200_000


class View:
    """Of all counters that this process was told of, and the thresholds that it saw reached."""

    def __init__(self) -> None:
        self.events: list[BudgetEvent] = []
        self._buckets: dict[tuple[Meter, str], Bucket] = {}
        self._slots: dict[str, int] = {}
        self._budgets: dict[str, Spend] = {}
        self._alerts: dict[str, Alerts] = {}
        self._keys: dict[str, Key] = {}  # those with a budget
        self._changed: set[str] = set()
        self._sweep: Iterator[tuple[Meter, str]] = iter(())

    # Told by the server

    def take_bucket(self, meter: Meter, key_id: str, rule: BucketRule, level_us: int, now_ns: int) -> Bucket:
        """`level_us` in units × µs of a minute."""
        bucket = self._buckets.get((meter, key_id))
        if bucket is None:
            bucket = self._buckets[meter, key_id] = Bucket(rule, now_ns)
        bucket.set(rule, level_us * MICROSECOND_NS, now_ns)
        return bucket

    def take_slots(self, key_id: str, used: int) -> None:
        if used or key_id in self._slots:
            self._slots[key_id] = used

    def take_budget(self, key_id: str, window: Window, spent: int, reserved: int) -> Spend:
        """Raises nothing; fires the alerts that what is spent has reached."""
        spend = self._budgets.get(key_id)
        if spend is None or spend.label != window.label:
            if len(self._budgets) >= MOST_REMEMBERED:
                for old in list(islice(self._budgets, MOST_REMEMBERED // 10)):
                    del self._budgets[old]
            spend = self._budgets[key_id] = Spend(window)
        self._take(key_id, spend, spent, reserved)
        return spend

    def hear_budget(self, key_id: str, label: str, spent: int, reserved: int) -> None:
        """Of a period that was heard of before."""
        spend = self._budgets.get(key_id)
        if spend is not None and spend.label == label:
            self._take(key_id, spend, spent, reserved)

    def _take(self, key_id: str, spend: Spend, spent: int, reserved: int) -> None:
        spend.spent, spend.reserved = spent, reserved
        self._changed.add(key_id)
        if spent >= spend.quiet_below and (alerts := self._alerts.get(key_id)) is not None:
            alerts.notice(spend)

    # What this process does itself, before the server says so

    def add_money(self, key_id: str, label: str, spent: int, reserved: int) -> None:
        """Until the reply comes."""
        spend = self._budgets.get(key_id)
        if spend is not None and spend.label == label:
            spend.spent += spent
            spend.reserved = max(0, spend.reserved + reserved)
            self._changed.add(key_id)

    def notice_of(self, key_id: str) -> Callable[[Spend], bool] | None:
        """What hears that a request was refused which the whole budget could have paid, True the first time in the period."""
        alerts = self._alerts.get(key_id)
        return None if alerts is None else alerts.notice_refusal

    # Keys

    def has_budget(self, key_id: str) -> bool:
        """Whether the key has one now, as far as this gateway has heard."""
        return key_id in self._alerts

    def watch(self, key: Key) -> None:
        """Limit and thresholds of a key as it is now; those already reached fire when the budget is next heard of."""
        if key.budget_nanos is None:
            self._alerts.pop(key.id, None)
            self._budgets.pop(key.id, None)
            self._keys.pop(key.id, None)
            return
        self._keys[key.id] = key
        alerts = self._alerts.get(key.id)
        if alerts is None:
            alerts = self._alerts[key.id] = Alerts(key.id, self.events)
        alerts.limit_nanos, alerts.thresholds = key.budget_nanos, key.alert_thresholds
        spend = self._budgets.get(key.id)
        if spend is not None:
            spend.quiet_below = 0
            alerts.notice(spend)

    def unlearn(self, key_id: str) -> None:
        """What was heard of the budget no longer holds."""
        self._budgets.pop(key_id, None)

    def unlearn_budgets(self) -> list[Key]:
        """Nothing that was heard of budgets holds; returns the keys that it was about."""
        keys = [self._keys[key_id] for key_id in self._budgets if key_id in self._keys]
        self._budgets.clear()
        return keys

    def forget(self, key_id: str) -> None:
        """The key is gone."""
        for meter in (Meter.REQUESTS, Meter.TOKENS):
            self._buckets.pop((meter, key_id), None)
        for known in (self._slots, self._budgets, self._alerts, self._keys):
            known.pop(key_id, None)
        self._changed.discard(key_id)

    def sweep(self, step: int, now_ns: int) -> None:
        """Forget buckets that are full again; looks at `step` of them per call."""
        for _ in range(step):
            name = next(self._sweep, None)
            if name is None:
                self._sweep = iter(list(self._buckets))
                return
            if (bucket := self._buckets.get(name)) is not None and bucket.is_full(now_ns):
                del self._buckets[name]

    # Look

    def bucket(self, meter: Meter, key_id: str) -> Bucket | None:
        return self._buckets.get((meter, key_id))

    def slots(self, key_id: str) -> int:
        return self._slots.get(key_id, 0)

    def budget(self, key_id: str, now_ms: int) -> Spend | None:
        """None while it is not known in the period of now."""
        spend = self._budgets.get(key_id)
        return None if spend is None or not spend.start_ms <= now_ms < spend.end_ms else spend

    def take_events(self) -> list[BudgetEvent]:
        """The budget events since the last call."""
        events = self.events[:]
        self.events.clear()
        return events

    def take_reserved(self) -> dict[str, int]:
        """Key id → nano-USD reserved by all gateways, of the budgets that were heard of since the last call."""
        changed, self._changed = self._changed, set()
        return {key_id: self._budgets[key_id].reserved for key_id in changed if key_id in self._budgets}
