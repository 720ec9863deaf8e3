"""The list of keys as its address tells it: search, status, order and page. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

from gateway_proxy.admin.keys import KeyQuery

PAGE_SIZE = 25
STATUSES = ("all", "active", "inactive", "expired", "revoked")
KINDS = {"all": "Keys and tokens", "key": "Keys", "ephemeral": "Ephemeral tokens"}
# column: (label, how it is sorted at first: True is descending)
SORTABLE = {"name": ("Name", False), "owner": ("Owner", False), "status": ("Status", False), "requests": ("Requests", True)}  # fmt: skip
_NEWEST = "created_at"
_MAX_SEARCH = 200
_MAX_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class ListState:
    """What is shown. The newest keys come first unless a column is chosen."""

    search: str = ""
    status: str = "all"
    sort: str = _NEWEST
    descending: bool = True
    page: int = 1
    kind: str = "all"

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return bool(self.search) or self.status != "all" or self.kind != "all"

    def query(self) -> KeyQuery:
        """What to ask the store for."""
        return KeyQuery(
            search=self.search,
            status=cast(Any, self.status),
            kind=cast(Any, self.kind),
            sort=cast(Any, self.sort),
            descending=self.descending,
            limit=PAGE_SIZE,
            skip=(self.page - 1) * PAGE_SIZE,
        )

    def address(self, **changes: Any) -> str:
        """The query string of this state with changes, "?" included; nothing for what goes without saying."""
        state = replace(self, **changes)
        parts: dict[str, str] = {}
        if state.search:
            parts["search"] = state.search
        if state.status != "all":
            parts["status"] = state.status
        if state.kind != "all":
            parts["kind"] = state.kind
        parts |= state.order_fields()
        if state.page > 1:
            parts["page"] = str(state.page)
        return f"?{urlencode(parts)}" if parts else ""

    def order_fields(self) -> dict[str, str]:
        """The chosen order as parameters; none while the newest come first."""
        if (self.sort, self.descending) == (_NEWEST, True):
            return {}
        return {"sort": self.sort, "order": "desc" if self.descending else "asc"}

    def sorted_by(self, column: str) -> str:
        """The address after a click on the column's head: its own order first, then the other way round."""
        first = SORTABLE[column][1]
        turned = self.sort == column and self.descending == first
        return self.address(sort=column, descending=not first if turned else first, page=1)

    def direction(self, column: str) -> str:
        """For aria-sort; "" where the list is not sorted by this column."""
        if self.sort != column:
            return ""
        return "descending" if self.descending else "ascending"


def read_state(query: Mapping[str, str]) -> ListState:
    """The state that an address names; what it garbles is left at its default."""
    status, sort = query.get("status", "all"), query.get("sort", _NEWEST)
    kind = query.get("kind", "all")
    page = query.get("page", "1")
    if sort not in SORTABLE:
        sort = _NEWEST
    first = SORTABLE[sort][1] if sort in SORTABLE else True
    order = query.get("order")
    return ListState(
        search=query.get("search", "").strip()[:_MAX_SEARCH],
        status=status if status in STATUSES else "all",
        kind=kind if kind in KINDS else "all",
        sort=sort,
        descending=order == "desc" if order in ("asc", "desc") else first,
        page=min(int(page), _MAX_PAGE) if page.isascii() and page.isdecimal() and page.strip("0") else 1,
    )
