"""What was last heard, and the alerts that it makes."""

from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import BucketRule, Meter
from gateway_proxy.limits.periods import TOTAL, Window
from gateway_proxy.shared.view import View

MINUTE_US = 60_000_000
DAY = Window("day:1", 0, 1000)


def key(limit: int | None, *percents: int) -> Key:
    return Key(
        id="key", name="A", organization="org", owner="local", budget_nanos=limit, alert_thresholds=percents
    )


def test_a_bucket_refills_by_the_clock_here() -> None:
    view = View()
    rule = BucketRule(60, 60)
    view.take_bucket(Meter.REQUESTS, "key", rule, 10 * MINUTE_US, 0)
    bucket = view.bucket(Meter.REQUESTS, "key")
    assert bucket is not None
    assert (bucket.available(0), bucket.available(5_000_000_000)) == (10, 15)
    view.sweep(10, 10**12)
    view.sweep(10, 10**12)
    assert view.bucket(Meter.REQUESTS, "key") is None


def test_a_threshold_fires_once_however_it_is_heard_of() -> None:
    view = View()
    view.watch(key(100, 50, 100))
    view.take_budget("key", TOTAL, 40, 10)
    assert view.take_events() == []
    view.hear_budget("key", "total", 60, 0)
    view.take_budget("key", TOTAL, 70, 0)
    assert [(e.kind, e.percent, e.spent_nanos) for e in view.take_events()] == [("budget.threshold", 50, 60)]
    view.watch(key(65, 50, 100))
    assert {e.kind for e in view.take_events()} == {"budget.threshold", "budget.exceeded"}


def test_a_budget_is_known_in_its_period_only() -> None:
    view = View()
    view.take_budget("key", DAY, 5, 6)
    view.add_money("key", "day:1", 2, -6)
    view.add_money("key", "day:0", 100, 100)
    spend = view.budget("key", 999)
    assert spend is not None and (spend.spent, spend.reserved) == (7, 0)
    assert view.budget("key", 1000) is None
    assert view.take_reserved() == {"key": 0} and view.take_reserved() == {}
    view.unlearn("key")
    assert view.budget("key", 999) is None


def test_a_key_without_budget_alarms_nobody() -> None:
    view = View()
    view.watch(key(100))
    assert view.has_budget("key")
    view.watch(key(None))
    assert not view.has_budget("key")
    spend = view.take_budget("key", TOTAL, 1000, 0)
    assert view.events == [] and spend.spent == 1000 and view.notice_of("key") is None
    view.take_slots("key", 3)
    view.forget("key")
    assert view.slots("key") == 0
