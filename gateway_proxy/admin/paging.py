"""Pages of lists that are short enough to be held: gateways, members, models. Keys and logs page in SQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.fields import FieldError

Item = dict[str, Any]
_LONGEST_CURSOR = 12


@dataclass(frozen=True, slots=True)
class Page:
    """JSON objects, and where to go on (None: these were the last)."""

    data: list[Item]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What of a list is wanted. `sort` names a member of the objects; without it they stay as they come."""

    search: str = ""
    sort: str | None = None
    descending: bool = False
    limit: int = 50
    cursor: str | None = None


def cut_page(items: Sequence[Item], listing: Listing, searched: Sequence[str] = ("name",)) -> Page:
    """The page of those items in whose `searched` members the text stands, whatever its case.

    Raises Invalid for a cursor that no page gave out.
    """
    start = read_offset(listing.cursor)
    found = [item for item in items if _matches(item, listing.search.casefold(), searched)]
    if listing.sort is not None:
        found.sort(key=_order_by(listing.sort), reverse=listing.descending)
    elif listing.descending:
        found.reverse()
    end = start + listing.limit
    return Page(found[start:end], str(end) if end < len(found) else None)


def read_offset(cursor: str | None) -> int:
    """Where the page begins. Raises Invalid."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _LONGEST_CURSOR):
        message = "the cursor is not one that a list gave out; start again without it"
        raise Invalid([FieldError("cursor", message)])
    return int(cursor)


def _matches(item: Item, text: str, searched: Sequence[str]) -> bool:
    return not text or any(text in str(item[member] or "").casefold() for member in searched)


def _order_by(member: str) -> Callable[[Item], Any]:
    """Null first; texts regardless of their case."""

    def order(item: Item) -> Any:
        value = item[member]
        if isinstance(value, str):
            value = value.casefold()
        return (value is not None, value)

    return order
