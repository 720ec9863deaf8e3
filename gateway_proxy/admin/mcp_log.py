"""The log of MCP calls, for those who may see the keys that made them."""

from dataclasses import replace
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.paging import Page
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.roles import may_read_bodies, visible_owner
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.core.money import format_usd
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.mcp_log import FAILURES, McpLogQuery
from gateway_proxy.storage.store import Store

__all__ = ["FAILURES", "STATUSES", "McpLogAdmin", "McpLogQuery"]
STATUSES = ("ok", "error", "denied")


class McpLogAdmin:
    """Members see the calls of their own keys."""

    def __init__(self, store: Store) -> None:
        self._log = store.mcp_log

    async def search(
        self, actor: Actor, query: McpLogQuery, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """The newest first; the actor's organization and, for members, owner overrule the query's. Raises Invalid."""
        own = visible_owner(actor)
        narrowed = replace(query, organization=actor.organization, owner=query.owner if own is None else own)
        try:
            page = await self._log.search(narrowed, limit=limit, cursor=cursor)
        except ValueError as error:
            raise Invalid([FieldError("cursor", str(error))]) from None
        return Page([_show(row, may_read_bodies(actor, row.owner)) for row in page.rows], page.next_cursor)


def _show(row: McpLogRow, with_bodies: bool) -> dict[str, Any]:
    """Money as a decimal string, times as RFC 3339."""
    shown = row._asdict()
    if not with_bodies:
        shown["arguments"] = shown["result"] = None
    shown["at"] = format_time(row.at)
    shown["cost_usd"] = format_usd(shown.pop("cost_nanos"))
    return shown
