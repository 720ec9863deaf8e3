"""The one command for all figures: what counts as missed."""

from bench.figure import Figure
from bench.run import count_missed, show


def make(unit: str, passed: bool) -> Figure:
    return Figure("some figure", 1, 2, unit, passed)


def test_a_missed_bound_counts_and_is_shown() -> None:
    assert count_missed([make("requests", False), make("requests", True)], short=False) == 1
    assert show(make("requests", False)) == "MISS some figure: bound 1 requests, measured 2 requests"


def test_times_count_in_the_long_form_only() -> None:
    slow = [make("µs", False), make("×", False), make("s", False)]
    assert count_missed(slow, short=True) == 0
    assert count_missed(slow, short=False) == 3
