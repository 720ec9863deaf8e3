from datetime import UTC, datetime

import pytest

from dashboard.filters import FILTERS, format_count, format_day, format_distance, format_moment, format_money

NOW = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("0.00", "$0.00"),
        ("25.00", "$25.00"),
        ("1234567.891", "$1,234,567.89"),
        ("0.004", "$0.004"),
        ("0.000001", "$0.000001"),
        ("0.000000001", "< $0.000001"),
        ("-3.5", "-$3.50"),
    ],
)
def test_money(usd: str, shown: str) -> None:
    assert format_money(usd) == shown


def test_count() -> None:
    assert format_count(1234567) == "1,234,567"


def test_days_and_moments() -> None:
    assert format_day("2026-11-03T23:30:00-02:00") == "4 Nov 2026"
    assert format_moment("2026-11-03T05:07:09Z") == "3 Nov 2026, 05:07:09 UTC"
    assert format_day(None) == format_moment(None) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-03T12:00:00Z", "just now"),
        ("2026-11-03T11:59:30Z", "just now"),
        ("2026-11-03T12:00:30Z", "in a moment"),
        ("2026-11-03T11:59:00Z", "1 minute ago"),
        ("2026-11-03T09:30:00Z", "2 hours ago"),
        ("2026-11-06T12:00:01Z", "in 3 days"),
        (None, ""),
    ],
)
def test_distance(text: str | None, shown: str) -> None:
    assert format_distance(text, NOW) == shown


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1K"),
        (1234, "1.2K"),
        (99_960, "100K"),
        (999_960, "1M"),
        (3.5e9, "3.5B"),
        (2.5, "2.5"),
    ],
)
def test_large_counts_are_shortened(number: float, text: str) -> None:
    assert FILTERS["short"](number) == text


@pytest.mark.parametrize(
    ("latency_ms", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (85, "85 ms"),
        (1240, "1.24 s"),
        (2000, "2 s"),
        (45_600, "46 s"),
        (125_000, "2 min 5 s"),
        (180_000, "3 min"),
    ],
)
def test_latencies_are_told_in_the_unit_that_fits(latency_ms: float | None, text: str) -> None:
    assert FILTERS["latency"](latency_ms) == text
