"""The request log: pages of it, what arrives while one watches, and one request with its attempts and what each rule said of it."""

import dataclasses
import json
from dataclasses import replace
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.log_verdicts import list_verdicts
from gateway_proxy.admin.paging import Page
from gateway_proxy.admin.problem import Invalid, NotFound
from gateway_proxy.admin.roles import may_read_bodies, visible_owner
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.money import format_usd
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.reports import LogPage, LogQuery
from gateway_proxy.storage.store import Store

__all__ = ["LATEST", "LogAdmin", "LogQuery", "log_object"]
# What watching begins with: it answers where the end of the log is now.
LATEST = "latest"
_SEARCH_SECONDS = 0.12  # of the 300 ms that a page may take


class LogAdmin:
    """Members see the requests of their own keys."""

    def __init__(self, store: Store) -> None:
        self._reports = store.reports
        self._bodies = store.bodies

    async def search(
        self, actor: Actor, query: LogQuery, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """The newest first; the actor's organization and, for members, owner overrule the query's.

        Where much has to be searched a page may be short, even empty, and still have a next one.
        """
        try:
            page = await self._reports.logs(
                _narrowed(actor, query), limit=limit, cursor=cursor, max_seconds=_SEARCH_SECONDS
            )
        except ValueError as error:
            raise Invalid([FieldError("cursor", str(error))]) from None
        return _page(page)

    async def follow(self, actor: Actor, query: LogQuery, *, after: str, limit: int = 100) -> Page:
        """What arrived since `after`, oldest first. Its `next_cursor`, never None, is the next `after`."""
        start = None if after == LATEST else after
        try:
            return _page(await self._reports.follow(_narrowed(actor, query), after=start, limit=limit))
        except ValueError as error:
            raise Invalid([FieldError("after", str(error))]) from None

    async def find(self, actor: Actor, request_id: str) -> dict[str, Any]:
        """One request with its attempts as the ledger has them, each rule's verdict, and bodies where they are kept."""
        row = await self._reports.find_log(request_id)
        own = visible_owner(actor)
        if row is None or actor.organization not in (None, row.organization) or own not in (None, row.owner):
            raise NotFound(f"there is no request {request_id} in the log")
        attempts = await self._reports.ledger_rows([request_id])
        return log_object(row) | {
            "ledger": [_attempt_object(attempt) for attempt in attempts],
            "verdicts": list_verdicts(row),
            **await self._find_bodies(actor, row),
        }

    async def _find_bodies(self, actor: Actor, row: LogRow) -> dict[str, str | None]:
        kept = await self._bodies.find(row.request_id)
        if kept is None or not may_read_bodies(actor, row.owner):
            return {
                "bodies": "none" if kept is None else "hidden",
                "request_body": None,
                "response_body": None,
            }
        return {"bodies": "shown", "request_body": kept.request_body, "response_body": kept.response_body}


def log_object(row: LogRow) -> dict[str, Any]:
    """One request as JSON: money as a decimal string, times as RFC 3339, metadata as the object it is."""
    shown = row._asdict()
    shown["at"] = format_time(row.at)
    shown["cost_usd"] = format_usd(shown.pop("cost_nanos"))
    shown["metadata"] = json.loads(shown.pop("metadata_json") or "{}")
    return shown


def _attempt_object(row: LedgerRow) -> dict[str, Any]:
    return {
        "attempt": row.attempt,
        "kind": row.kind,
        "provider": row.provider,
        "model_sent": row.model_sent,
        "model_reported": row.model_reported,
        "outcome": row.outcome,
        "usage_source": row.usage_source,
        "admitted_at": format_time(row.admitted_at),
        "settled_at": format_time(row.settled_at),
        "period": row.period,
        "reserved_usd": format_usd(row.reserved_nanos),
        "charged_usd": format_usd(row.charged_nanos),
        "usage": dataclasses.asdict(row.usage),
        "rates": None if row.rates is None else dataclasses.asdict(row.rates),
    }


def _narrowed(actor: Actor, query: LogQuery) -> LogQuery:
    own = visible_owner(actor)
    return replace(query, organization=actor.organization, owner=query.owner if own is None else own)


def _page(page: LogPage) -> Page:
    return Page([log_object(row) for row in page.rows], page.next_cursor)
