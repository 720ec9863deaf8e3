"""Lists whose address says what is shown: filters, the ways to the other pages, and all rows for a file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from dashboard.plain_form import Mistakes, PlainForm, find_mistakes
from dashboard.ranges import ANY, ANY_TIME, Range
from gateway_proxy.admin.problem import Invalid

PAGE_ROWS = 50
FILE_ROWS = 1000  # that are read at a time
Query = list[tuple[str, str]]


class PageOfRows(Protocol):
    """Rows, and where to go on (None: these were the last)."""

    @property
    def data(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def next_cursor(self) -> str | None: ...


Search = Callable[..., Awaitable[PageOfRows]]
"""Gives the page for `limit` and `cursor`."""


def read_filters(request: web.Request, fields: Sequence[str]) -> PlainForm:
    """What the address asks for in these fields."""
    return PlainForm({name: request.query.get(name, "").strip() for name in fields})


def keep_filters(request: web.Request, fields: Sequence[str]) -> Query:
    """The fields that the address fills, and its range, for addresses of the same list."""
    kept = {*fields, "range", "from", "to"}
    return [(name, value) for name, value in request.query.items() if name in kept and value]


def page_links(request: web.Request, next_cursor: str | None, kept: Query | None = None) -> dict[str, str]:
    """`same_list`, `next_page` ("" behind the last) and `first_page` ("" on it), with `kept` in their addresses.

    Without `kept` they keep all but the page and the format of a file.
    """
    if kept is None:
        kept = [(name, value) for name, value in request.query.items() if name not in ("cursor", "format")]
    same_list = str(request.rel_url.with_query(kept))
    return {
        "same_list": same_list,
        "next_page": str(request.rel_url.with_query([*kept, ("cursor", next_cursor)])) if next_cursor else "",
        "first_page": same_list if "cursor" in request.query else "",
    }


async def show_page(
    request: web.Request,
    fields: Sequence[str],
    form: PlainForm,
    chosen: Range,
    prepare: Callable[[], Awaitable[Search]],
) -> dict[str, Any]:
    """For the template of a list in time: its page, or what is wrong with the filters, where `prepare` raises Invalid."""
    rows: Sequence[Mapping[str, Any]] = ()
    next_cursor, mistakes = None, Mistakes()
    try:
        search = await prepare()
        page = await search(limit=PAGE_ROWS, cursor=request.query.get("cursor"))
        rows, next_cursor = page.data, page.next_cursor
    except Invalid as problem:
        mistakes = find_mistakes(problem, fields)
    return {
        "rows": rows,
        "form": form,
        "errors": mistakes,
        "range": chosen,
        "ranges": ANY_TIME,
        "filtered": any(form.texts.values()) or chosen.name != ANY,
        **page_links(request, next_cursor, keep_filters(request, fields)),
    }


async def each_row(search: Search) -> AsyncIterator[Mapping[str, Any]]:
    """All rows of what is found, page by page."""
    cursor: str | None = None
    while True:
        page = await search(limit=FILE_ROWS, cursor=cursor)
        for row in page.data:
            yield row
        if (cursor := page.next_cursor) is None:
            return
