"""Windows tile time without gap or overlap, and begin where the local day begins."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proxy.core.key import BudgetPeriod
from gateway_proxy.limits.periods import FAR_MS, STEP_MS, find_window

DAY, WEEK, MONTH = BudgetPeriod.DAY, BudgetPeriod.WEEK, BudgetPeriod.MONTH
HOUR_MS = 3_600_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def test_a_total_budget_has_one_window_without_end():
    assert find_window(BudgetPeriod.TOTAL, "UTC", ms("2026-11-05T10:00:00")) == ("total", 0, None)
    assert FAR_MS % STEP_MS == 0


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"),
    [
        (MONTH, "UTC", "2026-11-30T23:59:59", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        (MONTH, "UTC", "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
        (MONTH, "UTC", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        (MONTH, "Europe/Berlin", "2026-10-31T23:30:00", "2026-10-31T23:00:00", "2026-11-30T23:00:00"),
        (MONTH, "Europe/Berlin", "2026-10-31T22:30:00", "2026-09-30T22:00:00", "2026-10-31T23:00:00"),
        (MONTH, "Asia/Kathmandu", "2026-11-05T00:00:00", "2026-10-31T18:15:00", "2026-11-30T18:15:00"),
        (WEEK, "UTC", "2027-01-03T12:00:00", "2026-12-28T00:00:00", "2027-01-04T00:00:00"),
        (WEEK, "UTC", "2026-11-02T00:00:00", "2026-11-02T00:00:00", "2026-11-09T00:00:00"),
        (DAY, "America/New_York", "2026-11-01T12:00:00", "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
        (DAY, "America/New_York", "2026-03-08T12:00:00", "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
        # The clock jumps at midnight: the day begins at the jump.
        (DAY, "America/Havana", "2026-03-08T12:00:00", "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
        # Midnight happens twice: the day begins at the first one.
        (DAY, "America/Havana", "2026-11-01T12:00:00", "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
        (DAY, "Africa/Cairo", "2026-10-29T20:30:00", "2026-10-28T21:00:00", "2026-10-29T22:00:00"),
        (DAY, "Pacific/Apia", "2026-11-05T12:00:00", "2026-11-05T11:00:00", "2026-11-06T11:00:00"),
    ],
)
def test_edges(period, zone, now, start, end):
    window = find_window(period, zone, ms(now))
    assert (window.start_ms, window.end_ms) == (ms(start), ms(end))
    assert window.label == f"{period.value}:{start}Z"


@given(
    period=st.sampled_from([DAY, WEEK, MONTH]),
    zone=st.sampled_from(
        [
            "UTC",
            "Europe/Berlin",
            "America/Havana",
            "Africa/Cairo",
            "Australia/Lord_Howe",
            "Asia/Beirut",
            "America/St_Johns",
            "Asia/Kathmandu",
            "Pacific/Chatham",
            "Pacific/Kiritimati",
        ]
    ),
    now=st.integers(ms("2025-01-01T00:00:00"), ms("2035-01-01T00:00:00")),
)
def test_windows_tile_time(period, zone, now):
    window = find_window(period, zone, now)
    assert window.end_ms is not None
    assert window.start_ms <= now < window.end_ms
    assert window.start_ms % STEP_MS == 0
    assert window.end_ms % STEP_MS == 0
    assert find_window(period, zone, window.end_ms).start_ms == window.end_ms
    assert find_window(period, zone, window.start_ms - 1).end_ms == window.start_ms
    assert window.end_ms - window.start_ms >= 23 * HOUR_MS


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", ""])
def test_an_unknown_zone_is_an_error(zone):
    with pytest.raises((ZoneInfoNotFoundError, ValueError, OSError)):
        find_window(DAY, zone, ms("2026-11-05T00:00:00"))
