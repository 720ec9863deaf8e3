"""Carries the store's change log into this gateway's audit log: every act of its organization, once, in order.

Where it is follows from the audit log itself, so nothing is lost or repeated over a restart, and what happened while the
gateway was down is written at its start. Acts never wait for it: while the disk refuses, they stay in the store.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from gateway_proxy.audit.chain import parse_head
from gateway_proxy.audit.log import AuditLog, AuditUnavailable
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.tasks import wait_for_event
from gateway_proxy.storage import Store
from gateway_proxy.storage.changes import ChangeRow, list_changes
from gateway_proxy.storage.database import StoreError

log = logging.getLogger("gateway_proxy.audit")

BATCH = 500
# A wake-up comes with every change; this is for the store and the disk that did not answer then.
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 30.0


class AuditTrail:
    """One task. `report` is called when there is a new head."""

    def __init__(
        self,
        audit_log: AuditLog,
        store: Store,
        gateway_id: str,
        organization: str,
        report: Callable[[], Awaitable[None]],
    ) -> None:
        self.log = audit_log
        self._store = store
        self._gateway_id = gateway_id
        self._organization = None if organization == "*" else organization
        self._report = report
        self._news = asyncio.Event()
        self._is_open = False

    @property
    def head(self) -> str:
        """What the heartbeat carries: seq:mac, "" before the first line."""
        return str(self.log.head) if self._is_open and self.log.head.seq else ""

    def wake(self) -> None:
        """There is something new in the change log."""
        self._news.set()

    async def run(self) -> None:
        """Runs until cancelled; faults are logged once by the audit log, and tried again."""
        while True:
            self._news.clear()
            wait_seconds = PATIENCE_SECONDS
            try:
                if await self.catch_up():
                    await self._report()
            except (AuditUnavailable, StoreError) as error:
                log.debug("the audit log waits: %s", error)
                wait_seconds = RETRY_SECONDS
            await wait_for_event(self._news, wait_seconds)

    async def catch_up(self) -> int:
        """Write what is not written yet; returns how many acts. Raises AuditUnavailable, StoreError."""
        if not self._is_open:
            reported = parse_head(await self._store.registry.find_audit_head(self._gateway_id))
            await asyncio.to_thread(self.log.open, reported)
            self._is_open = True
            await self._notice_restore()
        written = 0
        while True:
            rows = await list_changes(
                self._store.db, organization=self._organization, after=self.log.change, limit=BATCH
            )
            if rows:
                await asyncio.to_thread(self.log.append, [describe(row) for row in rows])
                written += len(rows)
            if len(rows) < BATCH:
                return written

    def describe(self) -> dict[str, Any]:
        """For readiness: where the log is, and why it cannot be written, if it cannot."""
        return {"head": self.log.head.seq, "error": self.log.error or None}

    async def _notice_restore(self) -> None:
        newest = await list_changes(self._store.db, limit=1)
        last = newest[0].seq if newest else 0
        if last < self.log.change:
            log.warning("the store's change log ends before the audit log: the store was restored")
            await asyncio.to_thread(self.log.rewind, last)


def describe(row: ChangeRow) -> dict[str, Any]:
    """An act as a line of the audit log holds it."""
    try:
        details = orjson.loads(row.details_json)
    except orjson.JSONDecodeError:
        details = row.details_json
    return {
        "change": row.seq,
        "id": row.id,
        "at": format_time(row.at),
        "action": row.action,
        "organization": row.organization,
        "subject": row.key_id or row.subject,
        "actor": row.actor,
        "ip": row.ip,
        "details": details,
    }
