import pytest
from aiohttp.test_utils import make_mocked_request

from dashboard import lists
from dashboard.lists import Search, each_row, keep_filters, page_links, read_filters, show_page
from dashboard.ranges import Range
from gateway_proxy.admin.paging import Page
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.fields import FieldError


def test_what_the_address_asks_for_is_read_and_kept() -> None:
    request = make_mocked_request("GET", "/logs?key=%20a%20&owner=&range=24h&live=1&cursor=7&else=x")
    form = read_filters(request, ("key", "owner", "model"))
    assert dict(form.texts) == {"key": "a", "owner": "", "model": ""}
    assert keep_filters(request, ("key", "owner", "model")) == [("key", " a "), ("range", "24h")]


def test_links_to_other_pages_stand_where_there_are_any() -> None:
    request = make_mocked_request("GET", "/dashboard/logs?key=a&live=1")
    assert page_links(request, None, [("key", "a")]) == {
        "same_list": "/dashboard/logs?key=a", "next_page": "", "first_page": "",
    }  # fmt: skip
    later = make_mocked_request("GET", "/dashboard/logs?key=a&cursor=7&format=csv")
    assert page_links(later, "8") == {
        "same_list": "/dashboard/logs?key=a",
        "next_page": "/dashboard/logs?key=a&cursor=8",
        "first_page": "/dashboard/logs?key=a",
    }


async def test_a_file_has_the_rows_of_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str | None]] = []
    pages = {None: Page([{"n": 1}, {"n": 2}], "a"), "a": Page([], "b"), "b": Page([{"n": 3}])}

    async def search(*, limit: int, cursor: str | None) -> Page:
        asked.append((limit, cursor))
        return pages[cursor]

    monkeypatch.setattr(lists, "FILE_ROWS", 2)
    assert [row["n"] async for row in each_row(search)] == [1, 2, 3]
    assert asked == [(2, None), (2, "a"), (2, "b")]


async def test_a_page_shows_its_rows_or_what_is_wrong_with_its_filters() -> None:
    request, any_time = make_mocked_request("GET", "/logs?key=a"), Range("any", 0, 1)
    form = read_filters(request, ("key",))

    async def search(*, limit: int, cursor: str | None) -> Page:
        return Page([{"n": limit}], "more")

    async def find() -> Search:
        return search

    async def refuse() -> Search:
        raise Invalid([FieldError("key", "is not known")])

    shown = await show_page(request, ("key",), form, any_time, find)
    assert shown["rows"] == [{"n": lists.PAGE_ROWS}] and shown["filtered"]
    assert shown["next_page"] == "/logs?key=a&cursor=more" and not shown["errors"].any
    shown = await show_page(request, ("key",), form, any_time, refuse)
    assert (shown["rows"], shown["next_page"]) == ((), "")
    assert shown["errors"].of("key") == ["Is not known."]
