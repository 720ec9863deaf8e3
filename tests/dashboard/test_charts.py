from datetime import UTC, datetime, timedelta

import pytest

from dashboard.charts import HEIGHT, WIDTH, Series, describe_step, draw, round_up, stack

START = datetime(2026, 11, 3, 14, tzinfo=UTC)
STARTS = [START + timedelta(minutes=30 * n) for n in range(4)]


def write(value: float) -> str:
    return f"{value:g}"


def test_stacked_bars_stand_on_each_other_and_fill_the_axis() -> None:
    chart = stack("c", "Title", "", STARTS, 1800, [
        Series("Good", "accent", [6, 0, 1, None]), Series("Bad", "bad", [2, 1, 0, 0]),
    ], write)  # fmt: skip
    good, bad = chart.bars[:2]
    assert (good.y + good.height, bad.y + bad.height) == (HEIGHT, good.y)
    assert bad.y == 0
    assert len(chart.bars) == 4
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in chart.bars)
    assert chart.y_ticks == ["8", "4", "0"]
    assert chart.x_ticks[0] == "14:00" and chart.x_ticks[-1] == "16:00"


def test_the_table_and_the_words_of_a_step_say_what_is_drawn() -> None:
    chart = stack("c", "T", "", STARTS[:2], 1800, [Series("Good", "accent", [6, None])], write)
    assert chart.rows == [("14:00", ["6"]), ("14:30", [""])]
    assert [slot.text for slot in chart.slots] == ["14:00: good 6", "14:30: good none"]


def test_a_line_is_broken_where_a_value_is_missing_and_a_lone_value_is_seen() -> None:
    chart = draw("c", "T", "", STARTS, 1800, [Series("p", "accent", [1.0, 2.0, None, 2.0])], write)
    assert chart.lines[0].path == "M125.0 80.0L375.0 0.0"
    assert chart.lines[0].dots == "M875.0 0.0h0"
    assert chart.y_ticks == ["2", "1", "0"]


def test_an_axis_of_whole_numbers_has_no_halves_and_no_time_twice() -> None:
    days = [START + timedelta(days=n) for n in range(2)]
    for make in (stack, draw):
        chart = make("c", "T", "", days, 86_400, [Series("p", "accent", [1, 0])], write)
        assert chart.y_ticks == ["2", "1", "0"]
        assert chart.x_ticks == ["3 Nov", "4 Nov", "5 Nov"]


def test_nothing_is_drawn_as_empty() -> None:
    assert stack("c", "T", "", STARTS, 1800, [Series("p", "accent", [0, None, 0, 0])], write).empty
    assert draw("c", "T", "", [], 1800, [Series("p", "accent", [])], write).empty


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (1, 1), (1.1, 2), (7, 8), (9.5, 10), (1234, 2000), (0.0031, 0.004)]
)
def test_an_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("step", "span", "text"),
    [
        (1800, 86_400, "14:00"),
        (3600, 86_400 * 4, "3 Nov, 14:00"),
        (86_400, 86_400 * 30, "3 Nov"),
        (86_400, 86_400 * 400, "3 Nov 2026"),
    ],
)
def test_a_step_is_called_as_its_span_needs(step: int, span: int, text: str) -> None:
    assert describe_step(START, step, span) == text
