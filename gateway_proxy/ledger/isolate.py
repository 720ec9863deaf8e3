"""One row that the store will never take must not hold up the others.

When a batch fails, this finds out whether the store is away (nothing is touched, the error is raised again) or
a row is at fault: then all others are written and that row is set aside in a file, with an alarm.
"""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.store import Batch, LedgerStore

log = logging.getLogger("gateway_proxy.books")

# A store that refuses this many rows of one batch is at fault itself.
MAX_REFUSED = 12
FILE_NAME = "set-aside.jsonl"

Row = LedgerRow | LogRow | EventRow


class Isolation:
    """One search through one failed batch."""

    def __init__(
        self, store: LedgerStore, gateway_id: str, folder: Path, row_errors: tuple[type[Exception], ...]
    ) -> None:
        """`row_errors`: what the store raises when only the row can be to blame."""
        self._store = store
        self._gateway_id = gateway_id
        self._path = folder / FILE_NAME
        self._row_errors = row_errors
        self._accepted = 0
        self._refused: list[Row] = []

    async def append(self, batch: Batch, error: Exception, now_ms: int) -> int:
        """Write a batch that failed with `error`, without the rows at fault; returns how many these were.

        Raises the store's error when it takes nothing at all, or refuses too much: then it is the store.
        """
        await self._store.append(self._gateway_id, Batch(reserved=batch.reserved))
        rows: list[Row] = [*batch.ledger, *batch.logs, *batch.events]
        await self._halve(rows, error)
        aside = 0
        for row in self._refused:
            # It may have been a moment's trouble: another chance.
            refusal = await self._try([row])
            if refusal is None:
                continue
            if not self._accepted and not isinstance(refusal, self._row_errors):
                raise refusal
            self._set_aside(row, refusal, now_ms)
            aside += 1
        if batch.cursor is not None:
            await self._store.append(self._gateway_id, Batch(cursor=batch.cursor))
        return aside

    async def _halve(self, rows: list[Row], error: Exception) -> None:
        """Halve until the rows that are refused stand alone."""
        if len(rows) < 2:
            self._refused += rows
            if len(self._refused) > MAX_REFUSED:
                raise error
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            if (refusal := await self._try(half)) is not None:
                await self._halve(half, refusal)

    async def _try(self, rows: Sequence[Row]) -> Exception | None:
        batch = Batch()
        for row in rows:
            if isinstance(row, LedgerRow):
                batch.ledger.append(row)
            elif isinstance(row, LogRow):
                batch.logs.append(row)
            else:
                batch.events.append(row)
        try:
            await self._store.append(self._gateway_id, batch)
        except Exception as error:  # noqa: BLE001 - any driver's error: the halves tell whose fault it is
            return error
        self._accepted += len(rows)
        return None

    def _set_aside(self, row: Row, error: Exception, now_ms: int) -> None:
        name = type(row).__name__
        identity = row.dedupe if isinstance(row, EventRow) else row.request_id
        log.error(
            "ALARM: the store refuses the %s of %s: %s; it is kept in %s", name, identity, error, self._path
        )
        line = (
            json.dumps(
                {"at": now_ms, "type": name, "error": str(error), "row": _members(row)}, default=asdict
            )
            + "\n"
        )
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, line.encode())
            os.fdatasync(fd)
        finally:
            os.close(fd)


def _members(row: Row) -> dict[str, Any]:
    return asdict(row) if isinstance(row, EventRow) else row._asdict()
