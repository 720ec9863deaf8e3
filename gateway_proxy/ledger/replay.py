"""What earlier processes left in the spool: rows that the store may not have, and attempts that never ended.

Reading only, and the settles of orphans; the writer carries the result into the store. May be repeated at
will: the store keeps a row once, and an orphan's settle is in the spool before anything else sees it.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway_proxy.core.exchange import Outcome
from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.core.usage import UsageSource
from gateway_proxy.ledger.records import INTENT, RowKey, apply_settle, decode_intent, scan
from gateway_proxy.ledger.spool import CORRUPT_SUFFIX, Position, Spool

log = logging.getLogger("gateway_proxy.spool")


def recover(spool: Spool, cursor: Position | None, now_ms: int) -> Iterator[tuple[LedgerRow, Position]]:
    """The rows settled after the store's cursor in the order they were settled, then the orphans.

    An orphan (intent without settle: the process died meanwhile) is charged its reserved bound, without a budget
    its input estimate, because the provider may have served it. Raises SpoolUnavailable.
    """
    started: dict[RowKey, LedgerRow] = {}
    yield from _read_settled(spool, cursor or (0, 0), started)
    for row in started.values():
        orphan = row._replace(
            charged_nanos=_bound_of(row),
            usage_source=UsageSource.ESTIMATED.value,
            outcome=Outcome.ORPHANED.value,
            settled_at=now_ms,
        )
        yield orphan, _settle_orphan(spool, orphan)


def find_unreserved(spool: Spool, cursor: Position | None) -> Iterator[LedgerRow]:
    """The rows that `recover` would yield whose charge is more than was reserved for them. Writes nothing."""
    started: dict[RowKey, LedgerRow] = {}
    for row, _ in _read_settled(spool, cursor or (0, 0), started):
        if row.charged_nanos > row.reserved_nanos:
            yield row
    for row in started.values():
        if _bound_of(row) > row.reserved_nanos:
            yield row


def _bound_of(orphan: LedgerRow) -> int:
    return orphan.reserved_nanos or orphan.estimated_nanos


def _read_settled(
    spool: Spool, settled_after: Position, started: dict[RowKey, LedgerRow]
) -> Iterator[tuple[LedgerRow, Position]]:
    """Those that were settled after this; `started` gets the others, which never ended."""
    for number, path in spool.earlier_segments():
        for kind, values, end in read_segment(path):
            key: RowKey = (values[0], values[1])
            if kind == INTENT:
                started.setdefault(key, decode_intent(values))
                continue
            row = started.pop(key, None)
            if (number, end) <= settled_after:
                continue
            if row is None:
                log.error("ALARM: %s: the settle of %s attempt %d has no intent", path, *key)
                continue
            yield apply_settle(row, values), (number, end)


def _settle_orphan(spool: Spool, row: LedgerRow) -> Position:
    spool.intent(row)
    position = spool.settle(row)
    spool.flush()
    return position


def read_segment(path: Path) -> Iterator[tuple[int, list[Any], int]]:
    """The records of a segment up to its first fault. A damaged one is kept aside as `.corrupt`."""
    found = scan(path.read_bytes())
    if found.fault == "corrupt":
        aside = path.with_suffix(CORRUPT_SUFFIX)
        with suppress(FileExistsError):
            os.link(path, aside)
        log.error(
            "ALARM: %s is damaged after byte %d; what stands before was read, the file is kept as %s",
            path,
            found.end,
            aside.name,
        )
    elif found.fault:
        log.warning("%s ends in a record that was not finished, at byte %d", path, found.end)
    yield from found.records
