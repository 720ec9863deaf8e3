"""How a gateway comes by its books and keys: from its store at once, or from its own disk while nobody answers there.

Started from a snapshot it serves as a gateway does whose store went away: within the bounds on staleness, keys with a
budget only by shared counters that are those of before, and whole. Earlier processes' rows stay in the spool, and nothing is written to the store
before they are in it. When the store answers, all that was put off is done, and then the gateway is like any other.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from gateway_proxy.app.keeping import FILE, Keeping
from gateway_proxy.app.leftovers import carry_over
from gateway_proxy.app.opening import join_store
from gateway_proxy.keys.pepper import PepperError
from gateway_proxy.keys.secret import pepper_id
from gateway_proxy.keys.signing import load_cryptography
from gateway_proxy.ledger.replay import find_unreserved
from gateway_proxy.ledger.spool import Spool, SpoolUnavailable
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.storage.database import StoreConflict, StoreError
from gateway_proxy.storage.snapshot import Saved, Snapshot

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway

log = logging.getLogger("gateway_proxy.gateway")

RETRY_SECONDS = 0.5


class Joining:
    """Of one gateway. `keeping` is None on an embedded store, which is on its own disk anyway."""

    def __init__(self, gateway: "Gateway", pepper: bytes) -> None:
        self._gateway = gateway
        self._pepper = pepper
        self.keeping: Keeping | None = None
        self._has_joined = True
        self._cursor: tuple[int, int] | None = None  # where the spool is not joined yet
        self._done: set[str] = set()  # of what a second attempt to join must not do again
        db = gateway.store.db
        if db.dialect != "sqlite":
            self.keeping = Keeping(
                Snapshot(gateway.config.storage.data_dir / gateway.part.name_file(FILE), pepper, db.name),
                gateway.directory,
                gateway.tokens,
                gateway.clock,
                seq=lambda: gateway.follower.seq,
                synced_ns=lambda: gateway.follower.synced_ns,
                revoked_at=lambda: gateway.attachment.revoked_at,
                counters=lambda: gateway.limits.mark,
                cursor=lambda: gateway.writer.cursor,
            )
            gateway.limits.keeping = self.keeping

    async def recall(self) -> tuple[Saved, int] | None:
        """What to go on from, and its age in nanoseconds; None where the store can be asked. Raises SnapshotRefused."""
        if self._gateway.store.is_joined or self.keeping is None:
            return None
        self._has_joined = False
        recalled = await self.keeping.recall()
        self._cursor = recalled[0].state.cursor
        return recalled

    async def open_books(self) -> None:
        """The spool and its writer; what an earlier process left in it is in the store when this returns, if it answers."""
        gateway = self._gateway
        joined = self._has_joined
        part, data_dir = gateway.part, gateway.config.storage.data_dir
        books_id = part.books_id(gateway.id)
        cursor = await gateway.store.ledger.cursor(books_id) if joined else self._cursor
        gateway.spool = Spool(part.spool_folder(data_dir), after_segment=0 if cursor is None else cursor[0])
        gateway.writer = BooksWriter(
            gateway.store.ledger,
            gateway.spool,
            books_id,
            gateway.clock,
            reserved=gateway.limiter.take_reserved,
            row_errors=(StoreConflict,),
            written=gateway.limits.take_written,
        )
        if joined:
            await self._replay()
        else:
            gateway.writer.hold(cursor)

    async def load(self) -> None:
        """Keys and counters from the store. Raises StoreError."""
        gateway = self._gateway
        if "limits" not in self._done:
            await gateway.limits.open(gateway.books.collect_events)
            self._done.add("limits")
        await gateway.live_tokens.load()
        await gateway.follower.load()
        gateway.limiter.take_reserved()  # zeros, and the store has them now
        gateway.books.collect_events()  # of thresholds that were reached just before an earlier process died
        await gateway.attachment.report()
        # Since then nobody replaces it; somebody may have, between our look at it and this.
        await gateway.store.registry.require_pepper(pepper_id(self._pepper))

    async def resume(self, saved: Saved, age_ns: int) -> None:
        """Go on from there."""
        gateway, state = self._gateway, saved.state
        if state.signing_keys:
            await asyncio.to_thread(load_cryptography)
        gateway.tokens.pairs.take(state.signing_keys)
        gateway.live_tokens.bury(record.key_id for record in saved.records if record.key is None)
        gateway.follower.resume(saved.records, state.seq, age_ns)
        gateway.attachment.revoked_at = state.revoked_at
        mark = state.counters
        if mark is not None and await asyncio.to_thread(self._find_unreserved, saved):
            mark = None
        await gateway.limits.resume(mark, saved.records, gateway.books.collect_events)
        log.warning(
            "the store is out of reach: %d keys are served as they stood %d s ago",
            len(gateway.directory),
            age_ns // 10**9,
        )

    def _find_unreserved(self, saved: Saved) -> bool:
        """Whether a key with a budget owes what no counter has heard of: nothing was reserved for it, or too little."""
        budgeted = {r.key_id for r in saved.records if r.key is not None and r.key.budget_nanos is not None}
        for row in find_unreserved(self._gateway.spool, saved.state.cursor):
            for key_id in {row.key_id, row.parent_id} & budgeted:
                log.warning(
                    "key %s was charged for what was not reserved: budgets wait for the store", key_id
                )
                return True
        return False

    async def follow(self) -> None:
        """Runs until cancelled: joins the store if that is still to be done, then follows it."""
        gateway = self._gateway
        told = ""
        while not self._has_joined:
            try:
                await gateway.store.keys.changed()  # the first to know when there is an answer
                await self._join()
                self._has_joined = True
                log.warning("the store answers again")
            except (StoreError, PepperError, SpoolUnavailable) as error:
                if str(error) != told:
                    told = str(error)
                    log.error("the store cannot be joined: %s", told)
                await gateway.store.keys.wait_for_news()
                if gateway.store.is_joined:  # it answers, and something else is wrong
                    await asyncio.sleep(RETRY_SECONDS)
        await gateway.follower.follow()

    async def _join(self) -> None:
        gateway = self._gateway
        await join_store(gateway.store, gateway.config, self._pepper)
        await gateway.limits.refuse_company(await gateway.attachment.list_company(gateway.id), gateway.id)
        await self._replay()
        await self.load()

    async def _replay(self) -> None:
        if "replay" in self._done:
            return
        gateway, writer = self._gateway, self._gateway.writer
        recovered = await writer.replay(gateway.limits.take_recovered)
        if recovered:
            log.warning("%d ledger rows of an earlier process were recovered from the spool", recovered)
        await carry_over(
            gateway.part, gateway.store, gateway.config.storage.data_dir, gateway.id, gateway.clock
        )
        writer.start()
        self._done.add("replay")

    async def close(self) -> None:
        if self.keeping is not None:
            await asyncio.to_thread(self.keeping.close)
