"""Budget periods as windows of UTC milliseconds: total, calendar day, ISO week, month in an IANA time zone.

A window is half open. Its edges are local midnights, floored to 15 minutes: every offset in use is a multiple
of that, and the store keeps its sums in such steps. No counters here.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway_proxy.core.key import BudgetPeriod

STEP_MS = 15 * 60 * 1000
# 10000-01-01T00:00:00Z: the end of a total budget where a number is needed.
FAR_MS = 253_402_300_800_000


class Window(NamedTuple):
    """One period: `start_ms` inclusive, `end_ms` exclusive and None for a total budget, in Unix milliseconds."""

    label: str
    start_ms: int
    end_ms: int | None


TOTAL = Window("total", 0, None)
_latest: dict[tuple[BudgetPeriod, str], Window] = {}


def find_window(period: BudgetPeriod, timezone: str, now_ms: int) -> Window:
    """The window that contains `now_ms`.

    Raises ValueError or zoneinfo.ZoneInfoNotFoundError for a time zone that this machine does not know.
    """
    if period is BudgetPeriod.TOTAL:
        return TOTAL
    known = _latest.get((period, timezone))
    if known is not None and known.end_ms is not None and known.start_ms <= now_ms < known.end_ms:
        return known
    zone = ZoneInfo(timezone)
    today = datetime.fromtimestamp(now_ms // 1000, zone).date()
    first, following = _days(period, today)
    start_ms = _midnight_ms(first, zone)
    instant = datetime.fromtimestamp(start_ms // 1000, UTC)
    window = Window(f"{period}:{instant:%Y-%m-%dT%H:%M:%SZ}", start_ms, _midnight_ms(following, zone))
    _latest[period, timezone] = window
    return window


def _days(period: BudgetPeriod, today: date) -> tuple[date, date]:
    """First day of the period and first day of the next."""
    if period is BudgetPeriod.DAY:
        return today, today + timedelta(days=1)
    if period is BudgetPeriod.WEEK:
        monday = today - timedelta(days=today.weekday())
        return monday, monday + timedelta(days=7)
    first = today.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    # Where midnight is skipped, fold 0 reads it with the offset before the gap, which is the gap's own
    # instant; where it happens twice, it is the first one. Both are where the day begins.
    seconds = int(datetime.combine(day, time(), zone).timestamp())
    return seconds * 1000 // STEP_MS * STEP_MS
