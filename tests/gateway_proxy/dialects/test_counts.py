"""counts: integers within bounds, and nothing that only looks like one."""

import pytest

from gateway_proxy.dialects.counts import (
    LARGEST_COUNT,
    UnbelievableUsage,
    find_details,
    first_count,
    take_count,
)


def test_the_first_that_is_there() -> None:
    assert first_count({"a": None, "b": 3, "c": 4}, "a", "b", "c") == 3
    assert first_count({"a": 2.0}, "a") == 2 and first_count({"a": 0}, "a", "b") == 0
    assert first_count({}, "a") is None and first_count({"a": LARGEST_COUNT}, "a") == LARGEST_COUNT


@pytest.mark.parametrize("bad", [-1, 1.5, "1", True, [], LARGEST_COUNT + 1])
def test_no_counts(bad: object) -> None:
    with pytest.raises(UnbelievableUsage):
        first_count({"a": bad}, "a")


def test_details() -> None:
    assert find_details({"a": None, "b": {"x": 1}}, "a", "b") == {"x": 1} and find_details({}, "a") == {}
    with pytest.raises(UnbelievableUsage):
        find_details({"a": [1]}, "a")


def test_taking() -> None:
    assert take_count(3, 5) == (3, 2) and take_count(7, 5) == (5, 0)
