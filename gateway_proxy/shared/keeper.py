"""Keeps the shared counters believable: which epoch is in force, and that every gateway's leases are in it.

The store says which epoch that is, and on which server. A server that was restarted, emptied, exchanged or set back is
noticed (its process has another name, it does not know the epoch, its numbers fall), and whoever notices first begins a
new one; each gateway then hands its open leases over. Only when all have done so are budgets judged again, and each is
loaded from the ledger when it is first asked for. Rates work at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from gateway_proxy.core.key import Key
from gateway_proxy.core.tasks import spawn, wait_for_event
from gateway_proxy.shared.ending import Ending
from gateway_proxy.shared.limiter import SharedLimiter
from gateway_proxy.shared.link import CONNECT_SECONDS, Link, Refused, call_of
from gateway_proxy.shared.names import EPOCH, SEPARATOR, Names
from gateway_proxy.shared.resp import Disconnected, TooSlow
from gateway_proxy.shared.scripts import ADOPT, BEAT, BEGIN, DROP, ENTER
from gateway_proxy.shared.server import Lost, Server
from gateway_proxy.shared.view import View

log = logging.getLogger("gateway_proxy.shared")

BEAT_SECONDS = 1.0
GATHER_SECONDS = 0.1
TELL_SECONDS = 1.0  # so long nobody needs to know
PATIENT_SECONDS = 3.0  # from then on what is waited for is looked at every BEAT_SECONDS
DEAD_MS = 15_000
CLEAN_SECONDS = 5.0
LOAD_SECONDS = 30.0
SEED_SECONDS = 60.0  # after which every bucket would have been full
_SCAN_COUNT = 500
_FAULTS = (Disconnected, TooSlow, Refused, Lost)


class Epoch(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def is_ready(self) -> bool: ...


class EpochStore(Protocol):
    """See storage.epochs. Every method raises an error of the store's."""

    async def newest(self) -> Epoch | None: ...
    async def renew(self, lost: str, run_id: str, begin: Callable[[str], Awaitable[None]]) -> Epoch: ...
    async def join(self, part: str, gateway_id: str, place: int, places: int) -> None: ...
    async def hand_over(self, part: str, gateway_id: str, place: int, epoch: str) -> list[str]: ...
    async def leave(self, part: str) -> None: ...
    async def known_gateways(self) -> set[str]: ...


class Keeper:
    """`run` it as a task, after `join`. `part` is gateway id / place . instance."""

    def __init__(
        self,
        link: Link,
        server: Server,
        limiter: SharedLimiter,
        ending: Ending,
        view: View,
        store: EpochStore,
        places: int = 1,
    ) -> None:
        """`places` is how many processes the gateway has."""
        self._link = link
        self._server = server
        self._limiter = limiter
        self._ending = ending
        self._view = view
        self._store = store
        self._gateway_id, _, rest = server.part.partition("/")
        self._place = int(rest.partition(".")[0])
        self._places = places
        self._lost: set[str] = set()  # epochs whose counters are gone
        self._handed_over = ""  # the epoch that all leases were handed over into
        self._parts: list[str] = []  # all that were heard of, and those of them that live
        self._alive: list[str] = []
        self._gathering_since = 0.0
        self._active: list[Key] = []  # whose budgets were in use before they were lost
        self._unclean = True  # an earlier process may have left leases
        self._clean_at = 0.0
        self._compared: asyncio.Task[None] | None = None
        self._stir = asyncio.Event()
        self.waiting_for: list[str] = []
        self.error = ""
        self.epochs = 0  # entered since the start
        link.on_change = self._note_connection
        server.on_lost = self._note_lost

    async def join(self) -> None:
        """Before the first lease, and when the books of earlier processes are written. Raises the store's error."""
        await self._store.join(self._server.part, self._gateway_id, self._place, self._places)

    async def run(self) -> None:
        """Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            pause = BEAT_SECONDS
            try:
                if self._link.connection is None:
                    self._server.leave()
                    await self._stand_aside()
                elif self._server.names is None or not self._server.is_ready:
                    pause = GATHER_SECONDS
                    await self._attach()
                    if self._server.is_ready:
                        continue
                    if loop.time() - self._gathering_since > PATIENT_SECONDS:
                        pause = BEAT_SECONDS
                else:
                    await self._beat()
            except _FAULTS as error:
                pause = GATHER_SECONDS
                self.error = str(error) or type(error).__name__
            except Exception as error:  # noqa: BLE001 - the store's: budgets wait until it answers
                pause = GATHER_SECONDS
                self._tell(error)
            await wait_for_event(self._stir, pause)
            self._stir.clear()

    def _tell(self, error: Exception) -> None:
        if str(error) != self.error:
            log.error("shared counters: the store does not say which are in force: %s", error)
        self.error = str(error)

    async def wait_until_ready(self, timeout_seconds: float) -> bool:
        """Whether budgets can be judged, at the latest after this time."""
        ends = asyncio.get_running_loop().time() + timeout_seconds
        while not self._server.is_ready and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.01)
        return self._server.is_ready

    async def close(self, timeout_seconds: float = 2.0) -> None:
        """After the books are closed: what the server still has to hear, then leave. What it did not hear in time is found
        by the next process in this place."""
        ends = asyncio.get_running_loop().time() + timeout_seconds
        while not self._ending.is_idle and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.01)
        if self._ending.is_idle:
            names = self._server.names
            if names is not None:
                with suppress(*_FAULTS):
                    await self._link.call(("ZREM", names.parts, self._server.part))
            await self._store.leave(self._server.part)

    # An epoch

    def _note_connection(self) -> None:
        """At once: nothing may go out on a new connection before it was entered."""
        self._server.leave()
        self._stir.set()

    def _note_lost(self) -> None:
        """The server does not hold what the epoch that we were in says."""
        if self._handed_over:
            self._lost.add(self._handed_over)
        self._stir.set()

    async def _attach(self) -> None:
        """Into the epoch in force, or into a new one. Raises faults of the server and of the store."""
        link, server = self._link, self._server
        epoch = await self._store.newest()
        while epoch is None or epoch.run_id != link.run_id or epoch.id in self._lost:
            lost = "" if epoch is None else epoch.id
            if epoch is not None:
                log.warning(
                    "shared counters: %s is not the server, or not in the state, of before: made anew",
                    link.address,
                )
            epoch = await self._store.renew(lost, link.run_id, self._begin)
        if server.names is None or server.names.epoch != epoch.id:
            await self._enter(epoch.id)
            self._gathering_since = asyncio.get_running_loop().time()
        if self._handed_over != epoch.id:
            await self._hand_over(epoch.id)
        self._limiter.pay()
        if epoch.is_ready:
            missing = await self._confirm_ready(epoch.id)
        else:
            missing = await self._store.hand_over(server.part, self._gateway_id, self._place, epoch.id)
        self._note_missing(missing)
        names = server.names
        if names is None or names.epoch != epoch.id:
            raise Lost
        self.error = ""
        if missing:
            self._hear(await server.ask(CONNECT_SECONDS, None, BEAT, (names.parts,), server.part))
        else:
            server.is_ready = True
            log.info("shared counters: ready")
            active, self._active = self._active, []
            spawn(self._limiter.ready(active, LOAD_SECONDS), "load the budgets that were in use")

    async def _confirm_ready(self, epoch: str) -> list[str]:
        """An epoch that became ready without this process, which joined it later and brought nothing, or hands over now."""
        await self._store.hand_over(self._server.part, self._gateway_id, self._place, epoch)
        return []

    def _note_missing(self, missing: list[str]) -> None:
        waited = asyncio.get_running_loop().time() - self._gathering_since
        if missing and waited < TELL_SECONDS:
            missing = []
        if missing and missing != self.waiting_for:
            log.warning(
                "shared counters: budgets wait for the leases of %s; a gateway that will not come back is let go by"
                " `gateway-proxy gateways forget`",
                ", ".join(sorted({part.partition("/")[0] for part in missing})),
            )
        self.waiting_for = missing

    async def _begin(self, epoch: str) -> None:
        await self._link.call(call_of(BEGIN, (EPOCH,), epoch))

    async def _enter(self, epoch: str) -> None:
        """Have this connection speak for the part. Raises Lost when the server does not know the epoch."""
        server, names = self._server, Names(epoch)
        reply = await self._link.call(
            call_of(ENTER, (EPOCH,), epoch, f"c:{server.part}", self._link.generation)
        )
        if reply[0] != 1 or (self._handed_over == epoch and reply[1] <= server.number):
            self._lost.add(epoch)
            raise Lost
        server.enter(names, reply[1])
        if self._handed_over == epoch:
            self._ending.repeat()
        else:
            self._active = self._view.unlearn_budgets()
            self._limiter.seed(SEED_SECONDS)
        self.epochs += 1
        self._hear(await server.ask(CONNECT_SECONDS, None, BEAT, (names.parts,), server.part))

    async def _hand_over(self, epoch: str) -> None:
        """All that this process holds, in one step: what happens later is told later."""
        server = self._server
        names = server.names
        assert names is not None
        calls = []
        for root, entries, slots in self._ending.leases.by_root():
            keys = [names.entries(root)]
            holders: list[str] = []
            for key_id, leases in slots.items():
                for lease in leases:
                    keys.append(names.slots(root, key_id))
                    holders.append(lease)
            told = [text for pair in entries.items() for text in pair]
            calls.append(
                self._link.request(
                    server.command(ADOPT, tuple(keys), names.budgets(root), len(entries), *told, *holders),
                    CONNECT_SECONDS,
                )
            )
        self._ending.hand_over()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            server.examine(outcome)
        self._handed_over = epoch

    async def _stand_aside(self) -> None:
        """Without the server: a new epoch need not wait for a gateway that has nothing to hand over."""
        epoch = await self._store.newest()
        if epoch is None or epoch.is_ready or epoch.id == self._handed_over:
            return
        if any(not held.is_in_ledger for held in self._ending.leases.held.values()):
            return
        await self._store.hand_over(self._server.part, self._gateway_id, self._place, epoch.id)

    # While it is in force

    async def _beat(self) -> None:
        server = self._server
        names = server.names
        assert names is not None
        self._hear(await server.ask(CONNECT_SECONDS, None, BEAT, (names.parts,), server.part))
        self._ending.tell_refused()
        if self._compared is None or self._compared.done():  # a store that is away must not stop the heart
            self._compared = spawn(self._compare(), "compare the shared counters with the store")

    async def _compare(self) -> None:
        """Whether the store still names this epoch; and what of processes that are over can be dropped."""
        server, loop = self._server, asyncio.get_running_loop()
        names = server.names
        try:
            epoch = await self._store.newest()
            if names is None or server.names is not names:
                return
            if epoch is None or epoch.id != names.epoch:
                server.leave()
                self._note_lost()
            elif loop.time() >= self._clean_at:
                self._clean_at = loop.time() + CLEAN_SECONDS
                await self._clean()
            self.error = ""
        except _FAULTS:
            return  # seen by the next beat
        except Exception as error:  # noqa: BLE001 - the store's: what is in force stays so
            self._tell(error)

    def _hear(self, reply: list[bytes | int]) -> None:
        """Who lives: among them limits are divided when the server is away."""
        now_ms = reply[2]
        assert isinstance(now_ms, int)
        alive: list[str] = []
        dead: list[str] = []
        for part, beat in zip(reply[3::2], reply[4::2], strict=True):
            assert isinstance(part, bytes) and isinstance(beat, bytes)
            name = part.decode()
            (dead if now_ms - float(beat) > DEAD_MS and name != self._server.part else alive).append(name)
        self._limiter.local.divide(alive, self._server.part)
        self._limiter.dead = f",{','.join(dead)}," if dead else ""
        self._parts, self._alive = alive + dead, alive

    @property
    def gateways(self) -> int:
        """How many processes live, this one included."""
        return max(1, len(self._alive))

    async def _clean(self) -> None:
        """Drop leases of processes that are over: earlier ones of this place, and those of gateways that are forgotten."""
        known = await self._store.known_gateways()
        names = self._server.names
        if names is None:
            return
        gone = {
            part
            for part in self._limiter.dead.strip(",").split(",")
            if part and part.partition("/")[0] not in known
        }
        if self._unclean or gone:
            await self._drop(names, gone)
            self._unclean = False
            before = [part for part in self._parts if self._is_before(part)]
            if gone or before:
                await self._link.call(("ZREM", names.parts, *gone, *before))

    def _is_before(self, part: str) -> bool:
        """Whether this was an earlier process in this place; for the first place also in one that there is no more."""
        gateway, _, rest = part.partition("/")
        place = rest.partition(".")[0]
        if gateway != self._gateway_id or not place.isdecimal() or part == self._server.part:
            return False
        return int(place) == self._place or (self._place == 0 and int(place) >= self._places)

    async def _drop(self, names: Names, gone: set[str]) -> None:
        """Of every root, leases of these parts and of earlier processes in this place."""
        cursor, dropped = "0", 0
        while True:
            cursor, found = await self._link.call(
                ("SCAN", cursor, "MATCH", names.pattern, "COUNT", _SCAN_COUNT)
            )
            for key in found:
                name = key.decode()
                fields = [field.decode() for field in await self._link.call(("HKEYS", name))]
                old = [
                    field for field in fields
                    if (part := field.partition(SEPARATOR)[0]) in gone or self._is_before(part)
                ]  # fmt: skip
                if not old:
                    continue
                dropped += len(old)
                if name.endswith(":x"):
                    prefix = names.budgets(names.root_of(name))
                    await self._server.ask(CONNECT_SECONDS, None, DROP, (name,), prefix, *old)
                else:
                    await self._link.call(("HDEL", name, *old))
            if cursor == b"0":
                break
        if dropped:
            log.warning("shared counters: %d leases of processes that are over were dropped", dropped)
