"""Lists whose address says what is shown: filters, the ways to the other pages, and all rows for a file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from aiohttp import web

from dashboard.plain_form import PlainForm

FILE_ROWS = 1000  # that are read at a time
Query = list[tuple[str, str]]


class PageOfRows(Protocol):
    """Rows, and where to go on (None: these were the last)."""

    @property
    def data(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def next_cursor(self) -> str | None: ...


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


async def each_row(search: Callable[..., Awaitable[PageOfRows]]) -> AsyncIterator[Mapping[str, Any]]:
    """All rows of what `search(limit=…, cursor=…)` gives page by page."""
    cursor: str | None = None
    while True:
        page = await search(limit=FILE_ROWS, cursor=cursor)
        for row in page.data:
            yield row
        if (cursor := page.next_cursor) is None:
            return
