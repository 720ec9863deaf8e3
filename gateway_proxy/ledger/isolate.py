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

from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.store import Batch, LedgerStore

log = logging.getLogger("gateway_proxy.books")

# A store that refuses this many rows in a row without taking one is at fault itself.
MAX_FAILURES = 12

Row = LedgerRow | LogRow | EventRow


async def append_or_set_aside(
    store: LedgerStore, gateway_id: str, batch: Batch, error: Exception, folder: Path, now_ms: int
) -> int:
    """Write `batch` after it failed with `error`, without the rows at fault; returns how many these were.

    Raises the store's error when it does not even take an empty batch, or hardly any row.
    """
    await store.append(gateway_id, Batch(reserved=batch.reserved))
    rows: list[Row] = [*batch.ledger, *batch.logs, *batch.events]
    if not rows:
        raise error
    hunt = _Hunt(store, gateway_id)
    await hunt.append(rows)
    # Whatever was in the way may have been a moment's trouble: each gets another chance.
    refused = [row for row in hunt.refused if not await hunt.accepts([row])]
    if len(refused) >= MAX_FAILURES or (refused and not hunt.accepted and len(rows) > 1):
        raise error
    for row in refused:
        _set_aside(folder, row, hunt.last_error or error, now_ms)
    if batch.cursor is not None:
        await store.append(gateway_id, Batch(cursor=batch.cursor))
    return len(refused)


class _Hunt:
    def __init__(self, store: LedgerStore, gateway_id: str) -> None:
        self._store = store
        self._gateway_id = gateway_id
        self.refused: list[Row] = []
        self.accepted = 0
        self.last_error: Exception | None = None

    async def accepts(self, rows: Sequence[Row]) -> bool:
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
        except Exception as error:  # noqa: BLE001 - any driver's error; the halves tell whose fault it is
            self.last_error = error
            return False
        self.accepted += len(rows)
        return True

    async def append(self, rows: list[Row]) -> None:
        """Halve until the rows that are refused stand alone."""
        if await self.accepts(rows):
            return
        if len(rows) == 1:
            self.refused.append(rows[0])
            if len(self.refused) >= MAX_FAILURES and self.last_error is not None:
                raise self.last_error
            return
        middle = len(rows) // 2
        await self.append(rows[:middle])
        await self.append(rows[middle:])


def _set_aside(folder: Path, row: Row, error: Exception, now_ms: int) -> None:
    name = type(row).__name__
    identity = row.dedupe if isinstance(row, EventRow) else row.request_id
    path = folder / "set-aside.jsonl"
    log.error(
        "ALARM: the store refuses the %s of %s for ever: %s; it is kept in %s", name, identity, error, path
    )
    line = json.dumps({"at": now_ms, "type": name, "error": str(error), "row": asdict(row)}) + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line.encode())
        os.fdatasync(fd)
    finally:
        os.close(fd)
