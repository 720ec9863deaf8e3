"""Pages of short lists: each item once, in order, whatever the sizes; foreign cursors are refused."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_proxy.admin.paging import Listing, cut_page, read_offset
from gateway_proxy.admin.problem import Invalid

ITEMS: list[dict[str, Any]] = [
    {"name": "beta", "size": 2}, {"name": "Alpha", "size": None}, {"name": "100%", "size": 1},
]  # fmt: skip


def names(**listing: Any) -> list[str]:
    return [item["name"] for item in cut_page(ITEMS, Listing(**listing)).data]


def test_without_a_wish_the_order_is_the_giver_s() -> None:
    assert names() == ["beta", "Alpha", "100%"]
    assert names(descending=True) == ["100%", "Alpha", "beta"]


def test_texts_sort_regardless_of_case_and_null_comes_first() -> None:
    assert names(sort="name") == ["100%", "Alpha", "beta"]
    assert names(sort="size") == ["Alpha", "100%", "beta"]
    assert names(sort="size", descending=True) == ["beta", "100%", "Alpha"]


@pytest.mark.parametrize(
    ("search", "found"), [("ALPH", ["Alpha"]), ("%", ["100%"]), ("_", []), ("", ["beta", "Alpha", "100%"])]
)
def test_a_search_is_literal_and_knows_no_case(search: str, found: list[str]) -> None:
    assert names(search=search) == found


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine


@relaxed
@given(count=st.integers(0, 40), limit=st.integers(1, 50))
def test_pages_hold_each_item_once(count: int, limit: int) -> None:
    items = [{"name": str(number)} for number in range(count)]
    seen, cursor = [], None
    for _ in range(count + 1):
        page = cut_page(items, Listing(limit=limit, cursor=cursor))
        assert len(page.data) <= limit
        seen += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == items


@relaxed
@given(st.text())
def test_any_other_cursor_is_refused(cursor: str) -> None:
    try:
        assert read_offset(cursor) >= 0
    except Invalid as problem:
        assert [error.path for error in problem.errors] == ["cursor"]
    else:
        assert cursor.isdecimal()


def test_no_cursor_is_the_beginning() -> None:
    assert read_offset(None) == 0
