"""Journals of workers that there are no more: the number was lowered, and what the last ones left is carried over."""

import logging
from pathlib import Path

from gateway_proxy.app.part import Part, name_books
from gateway_proxy.core.clock import Clock
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.storage import Store
from gateway_proxy.storage.database import StoreConflict

log = logging.getLogger("gateway_proxy.gateway")


async def carry_over(part: Part, store: Store, data_dir: Path, gateway_id: str, clock: Clock) -> None:
    """The first part brings those of parts that are not started any more into the store.

    Raises StoreError, SpoolUnavailable.
    """
    if not part.is_first:
        return
    for folder in sorted(data_dir.glob("spool-*")):
        number = folder.name.removeprefix("spool-")
        if not number.isdecimal() or int(number) < part.count:
            continue
        books_id = name_books(gateway_id, int(number))
        cursor = await store.ledger.cursor(books_id)
        spool = Spool(folder, after_segment=0 if cursor is None else cursor[0])
        try:
            writer = BooksWriter(
                store.ledger, spool, books_id, clock, reserved=dict, row_errors=(StoreConflict,)
            )
            if recovered := await writer.replay():
                log.warning("%d ledger rows of a former worker were recovered from %s", recovered, folder)
        finally:
            spool.close()
