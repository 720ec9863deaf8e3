from datetime import UTC, datetime

import pytest

from dashboard.ranges import read_any_range, read_range

NOW = datetime(2026, 11, 3, 14, 30, tzinfo=UTC)
HOUR_MS = 3_600_000


def test_a_named_range_ends_now() -> None:
    chosen = read_range({"range": "1h"}, NOW)
    assert chosen.end_ms - chosen.start_ms == HOUR_MS
    assert chosen.end_ms == int(NOW.timestamp() * 1000)
    assert chosen.query == {"range": "1h"}
    assert read_range({}, NOW).name == "24h"


def test_a_chosen_range_is_kept_in_the_address() -> None:
    query = {"range": "custom", "from": "2026-11-01T00:00", "to": "2026-11-02T12:30"}
    chosen = read_range(query, NOW)
    assert chosen.end_ms - chosen.start_ms == 36.5 * HOUR_MS
    assert chosen.query == query
    assert read_range({"from": "2026-11-01T01:00+01:00", "to": "2026-11-02T12:30"}, NOW) == chosen


@pytest.mark.parametrize(
    "query",
    [
        {"range": "2h"},
        {"range": "custom", "from": "yesterday"},
        {"range": "custom", "from": "2026-11-02T00:00", "to": "2026-11-01T00:00"},
        {"range": "custom", "from": "0001-01-01T00:00", "to": "9999-12-31T23:59"},
        {"to": "0001-01-01T00:00+14:00"},
    ],
)
def test_what_cannot_be_followed_is_told_and_the_default_shown(query: dict[str, str]) -> None:
    chosen = read_range(query, NOW)
    assert chosen.name == "24h"
    assert chosen.error


@pytest.mark.parametrize(
    "query", [{}, {"range": "any"}, {"range": "any", "from": "2026-01-01T00:00", "to": ""}]
)
def test_any_time_is_all_of_it(query: dict[str, str]) -> None:
    found = read_any_range(query, NOW)
    assert (found.name, found.start_ms, found.error) == ("any", 0, "")


def test_another_range_is_read_where_any_time_is_one() -> None:
    assert read_any_range({"range": "1h"}, NOW) == read_range({"range": "1h"}, NOW)
    assert read_any_range({"from": "2026-01-01T00:00"}, NOW).name == "custom"
