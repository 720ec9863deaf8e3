"""Who did what, when and from where; and whether the gateways' own logs of it are untouched.

The acts come from the store's change log. A gateway's local log can be checked only where its files are, so the log of a
gateway on another machine is told of by its last reported head alone.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.paging import Page
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.roles import require_reader
from gateway_proxy.audit.chain import Head, derive_key, parse_head
from gateway_proxy.audit.read import list_files
from gateway_proxy.audit.verify import Verdict, verify
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.changes import ChangeFilter, ChangeRow, find_subject_names, list_changes
from gateway_proxy.storage.occasions import find_key_facts
from gateway_proxy.storage.registry import AuditHead
from gateway_proxy.storage.store import Store

ActFilter = ChangeFilter
# A log that grows with every act is not read from its beginning for each look at a page.
RECHECK_MS = 10_000


@dataclass(frozen=True, slots=True)
class _Checked:
    verdict: Verdict
    at: int
    signature: object


class AuditAdmin:
    """Members, who see their own keys only, do not see acts."""

    def __init__(self, store: Store, clock: Clock, pepper: bytes, data_dir: Path | None) -> None:
        self._store = store
        self._clock = clock
        self._pepper = pepper
        self._root = None if data_dir is None else data_dir / "audit"
        self._checked: dict[str, _Checked] = {}
        self._checking = asyncio.Lock()

    async def search(
        self, actor: Actor, wanted: ChangeFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Acts of the organization, the newest first."""
        require_reader(actor, "the audit log")
        rows = await list_changes(
            self._store.db,
            organization=actor.organization,
            before=_read_cursor(cursor),
            wanted=wanted,
            limit=limit + 1,
        )
        page = rows[:limit]
        keys = await find_key_facts(self._store.db, sorted({row.key_id for row in page if row.key_id}))
        names = await find_subject_names(self._store.db, sorted({row.subject for row in page if row.subject}))
        names |= {key_id: key.name for key_id, key in keys.items()}
        data = [act_object(row, names.get(row.key_id or row.subject, "")) for row in page]
        return Page(data, str(page[-1].seq) if len(rows) > limit else None)

    async def chains(self, actor: Actor) -> list[dict[str, Any]]:
        """What is known of each gateway's log: `status` is ok, broken, or elsewhere (not on this machine)."""
        require_reader(actor, "the audit log")
        heads = await self._store.registry.list_audit_heads(actor.organization)
        return [await self._describe(head) for head in heads]

    async def _describe(self, head: AuditHead) -> dict[str, Any]:
        checked = await self._check(head)
        verdict = None if checked is None else checked.verdict
        status = "elsewhere" if verdict is None else "ok" if verdict.ok else "broken"
        place = f"{verdict.file.name}:{verdict.line}: " if verdict and verdict.file else ""
        return {
            "gateway_id": head.gateway_id,
            "name": head.name,
            "organization": head.organization,
            "status": status,
            "entries": None if verdict is None else verdict.entries,
            "fault": f"{place}{verdict.fault}" if verdict and not verdict.ok else None,
            "head": head.head,
            "reported_at": format_time(head.at),
            "checked_at": None if checked is None else format_time(checked.at),
        }

    async def _check(self, head: AuditHead) -> _Checked | None:
        """The verdict on a local log: a fresh one if it changed, though not more often than every 10 s."""
        if self._root is None:
            return None
        folder = self._root / head.gateway_id
        async with self._checking:
            known = self._checked.get(head.gateway_id)
            if known is not None and self._clock.now_ms() - known.at < RECHECK_MS:
                return known
            signature = await asyncio.to_thread(_sign_files, folder, head.head)
            if signature is None:
                return None
            if known is None or known.signature != signature:
                key = derive_key(self._pepper, head.gateway_id)
                try:
                    verdict = await asyncio.to_thread(verify, folder, key, parse_head(head.head), gently=True)
                except OSError as error:
                    verdict = Verdict(0, Head(), f"cannot be read ({error.strerror})", folder)
                known = _Checked(verdict, self._clock.now_ms(), signature)
                self._checked[head.gateway_id] = known
            return known


def act_object(row: ChangeRow, subject_name: str = "") -> dict[str, Any]:
    """One act as JSON; `details` hold what was before and after."""
    try:
        details = orjson.loads(row.details_json)
    except orjson.JSONDecodeError:
        details = {}
    return {
        "id": row.id,
        "at": format_time(row.at),
        "action": row.action,
        "organization": row.organization,
        "subject": row.key_id or row.subject,
        "subject_name": subject_name,
        "actor": row.actor,
        "ip": row.ip,
        "details": details if isinstance(details, dict) else {"text": details},
        "change": row.seq,
    }


def _read_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        message = "the cursor is not one that a list gave out; start again without it"
        raise Invalid([FieldError("cursor", message)])
    return int(cursor)


def _sign_files(folder: Path, head: str) -> object:
    """Changes whenever the log or its reported head does; None if this machine has no logs to look at."""
    if not folder.parent.is_dir():
        return None
    stats = [(path.name, path.stat()) for path in list_files(folder)]
    return head, [(name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats]
