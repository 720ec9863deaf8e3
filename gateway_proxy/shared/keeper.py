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
from dataclasses import replace

from gateway_proxy.core.key import Key
from gateway_proxy.core.store import CountersMark
from gateway_proxy.core.tasks import spawn, wait_for_event
from gateway_proxy.shared.adopting import adopt_leases
from gateway_proxy.shared.clearing import drop_leases, is_before
from gateway_proxy.shared.ending import Ending
from gateway_proxy.shared.epoch_store import EpochStore
from gateway_proxy.shared.limiter import SharedLimiter
from gateway_proxy.shared.link import CONNECT_SECONDS, Link, Refused, call_of
from gateway_proxy.shared.names import EPOCH, Names
from gateway_proxy.shared.resp import Disconnected, TooSlow
from gateway_proxy.shared.resuming import Doubt, enter_unbelieved, resume
from gateway_proxy.shared.scripts import BEAT, BEGIN, ENTER
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
_NOT_AS_BEFORE = "shared counters: %s is not the server, or not in the state, of before: made anew"
_FAULTS = (Disconnected, TooSlow, Refused, Lost)


class Keeper:
    """`run` it as a task, after `join`, or after `go_on` where the store cannot be asked. `part` is gateway id / place . instance."""

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
        self._told_lost = ("", "")  # the last of them that was told of, and the server's process then
        self._handed_over = ""  # the epoch that all leases were handed over into
        self._parts: list[str] = []  # all that were heard of, and those of them that live
        self._alive: list[str] = []
        self._gathering_since = 0.0
        self._active: list[Key] = []  # whose budgets were in use before they were lost
        self._unclean = True  # an earlier process may have left leases
        self._clean_at = 0.0
        self._compared: asyncio.Task[None] | None = None
        self._stir = asyncio.Event()
        self._has_joined = False
        self._is_confirmed = False  # the store knows in which epoch this part is
        self._mark: CountersMark | None = None
        self.on_mark: Callable[[], None] = lambda: None  # what was noted does not hold any more
        self.on_renounce: Callable[[], Awaitable[None]] = _note_nothing
        self.waiting_for: list[str] = []
        self.error = ""
        self.epochs = 0  # entered since the start
        link.on_change = self._note_connection
        server.on_lost = self._note_lost

    async def join(self) -> None:
        """When the books of earlier processes are written, and before the first lease but for those that were taken
        without the store. Raises the store's error."""
        await self._store.join(self._server.part, self._gateway_id, self._place, self._places)
        self._has_joined = True
        if not self._server.is_ready:
            self._server.leave()  # what was entered for rates alone
        self._stir.set()

    def go_on(self, mark: CountersMark | None) -> None:
        """The store cannot be asked: until `join` the counters are believed if they are those that were noted."""
        self._mark = mark

    @property
    def mark(self) -> CountersMark | None:
        """By what the counters can be known again; None unless they are believed, as far as is known here."""
        server = self._server
        if self._mark is not None and server.is_ready:
            self._mark = replace(self._mark, number=server.number, ahead_ms=server.find_ahead_ms())
        return self._mark

    def _forget_mark(self) -> None:
        """Have these counters not believed again before the store was asked."""
        if self._mark is not None:
            self._mark = None
            self.on_mark()

    async def _renounce(self) -> None:
        """The same, before the store hears that it need not wait for this part any more."""
        self._mark = None
        await self.on_renounce()

    async def run(self) -> None:
        """Runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            pause = BEAT_SECONDS
            try:
                if self._link.connection is None:
                    self._server.leave()
                    if self._has_joined:
                        await self._stand_aside()
                elif not self._has_joined and not self._server.is_ready:
                    await self._resume()
                elif self._has_joined and not (self._server.is_ready and self._is_confirmed):
                    pause = GATHER_SECONDS
                    await self._attach()
                    if self._server.is_ready:
                        continue
                    if loop.time() - self._gathering_since > PATIENT_SECONDS:
                        pause = BEAT_SECONDS
                else:
                    await self._beat()
            except _FAULTS as error:
                pause = self._note_fault(error)
            except Exception as error:  # noqa: BLE001 - the store's: budgets wait until it answers
                pause = GATHER_SECONDS
                self._tell(error)
            await wait_for_event(self._stir, pause)
            self._stir.clear()

    def _note_fault(self, error: Exception) -> float:
        """How long to wait. What the server refuses it goes on to refuse: it is out of memory, or its user may not."""
        if isinstance(error, Refused):
            return GATHER_SECONDS if self._tell(error, str(self._link.address)) else BEAT_SECONDS
        self.error = str(error) or type(error).__name__
        return GATHER_SECONDS

    def _tell(self, error: Exception, what: str = "the store does not say which are in force") -> bool:
        """Log it once; whether it is news."""
        if is_new := str(error) != self.error:
            log.error("shared counters: %s: %s", what, error)
        self.error = str(error)
        return is_new

    async def wait_until_ready(self, timeout_seconds: float) -> bool:
        """Whether budgets can be judged, at the latest after this time."""
        ends = asyncio.get_running_loop().time() + timeout_seconds
        while not self._server.is_ready and asyncio.get_running_loop().time() < ends:
            if not self._has_joined and self._mark is None:
                break
            await asyncio.sleep(0.01)
        return self._server.is_ready

    async def close(self, timeout_seconds: float = 2.0) -> None:
        """After the books are closed: what the server still has to hear, then leave. What it did not hear in time is found
        by the next process in this place, which goes on from the mark if the store is away. Raises the store's error."""
        ends = asyncio.get_running_loop().time() + timeout_seconds
        while not self._ending.is_idle and asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(0.01)
        if self._ending.is_idle and self._has_joined:
            await self._store.newest()  # whether it can be asked at all
            await self._renounce()
            await self._store.leave(self._server.part)
            names = self._server.names
            if names is not None:
                with suppress(*_FAULTS):
                    await self._link.call(("ZREM", names.parts, self._server.part))

    # An epoch

    def _note_connection(self) -> None:
        """At once: nothing may go out on a new connection before it was entered."""
        self._server.leave()
        self._stir.set()

    def _note_lost(self) -> None:
        """The server does not hold what the epoch that we were in says."""
        if self._handed_over:
            self._lost.add(self._handed_over)
        self._forget_mark()
        self._stir.set()

    async def _attach(self) -> None:
        """Into the epoch in force, or into a new one. Raises faults of the server and of the store."""
        link, server = self._link, self._server
        try:
            epoch = await self._store.newest()
        except Exception:
            if self._mark is not None and not server.is_ready:
                return await self._resume()
            if server.is_ready:
                await self._tell_life()
            raise
        while epoch is None or epoch.run_id != link.run_id or epoch.id in self._lost:
            lost = "" if epoch is None else epoch.id
            if lost and self._told_lost != (lost, link.run_id):
                self._told_lost = lost, link.run_id
                log.warning(_NOT_AS_BEFORE, link.address)
            epoch = await self._store.renew(lost, link.run_id, self._begin)
        if self._mark is not None and self._mark.epoch != epoch.id:
            await self._renounce()
        if server.names is None or server.names.epoch != epoch.id:
            await self._enter(epoch.id)
            self._gathering_since = asyncio.get_running_loop().time()
        if self._handed_over != epoch.id:
            await self._hand_over(epoch.id)
        self._limiter.pay()
        missing = await self._store.hand_over(server.part, self._gateway_id, self._place, epoch.id)
        if epoch.is_ready:
            missing = []  # whoever joined it later brought nothing, or hands over now
        self._note_missing(missing)
        if server.names is None or server.names.epoch != epoch.id:
            raise Lost
        self.error = ""
        if missing:
            await self._tell_life()
        else:
            server.is_ready = self._is_confirmed = True
            self._mark = CountersMark(
                epoch.id, link.run_id, server.number, server.find_ahead_ms(), server.part
            )
            log.info("shared counters: ready")
            active, self._active = self._active, []
            spawn(self._limiter.ready(active, LOAD_SECONDS), "load the budgets that were in use")

    async def _resume(self) -> None:
        """While the store is away, into the epoch that was noted. Raises faults of the server."""
        mark, link, server = self.mark, self._link, self._server
        if mark is None:
            if server.names is None:
                await enter_unbelieved(link, server)
            return await self._tell_life()
        try:
            await resume(link, server, mark)
        except Doubt as doubt:
            self.error = f"{link.address}: {doubt}"
            log.error("shared counters: %s; keys with a budget wait for the store", self.error)
            self._forget_mark()
            return
        self.epochs += 1
        self._handed_over = mark.epoch  # all that this process holds was taken in it
        self._ending.repeat()
        self._limiter.pay()
        await self._tell_life()
        self.error = ""
        server.is_ready = True
        log.warning("shared counters: the store is away, and they are what they were: budgets are judged")

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
            self._forget_mark()
            raise Lost
        server.enter(names, reply[1])
        if self._handed_over == epoch:
            self._ending.repeat()
        else:
            self._active = self._view.unlearn_budgets()
            self._limiter.seed(SEED_SECONDS)
        self.epochs += 1
        await self._tell_life()

    async def _hand_over(self, epoch: str) -> None:
        assert self._server.names is not None
        await adopt_leases(self._link, self._server, self._server.names, self._ending)
        self._handed_over = epoch

    async def _stand_aside(self) -> None:
        """Without the server: a new epoch need not wait for a gateway that has nothing to hand over."""
        epoch = await self._store.newest()
        if epoch is None or epoch.is_ready or epoch.id == self._handed_over:
            return
        if any(not held.is_in_ledger for held in self._ending.leases.held.values()):
            return
        await self._renounce()
        await self._store.hand_over(self._server.part, self._gateway_id, self._place, epoch.id)

    # While it is in force

    async def _tell_life(self) -> None:
        """Say that this part lives, and hear who else does."""
        server = self._server
        if server.names is None:
            raise Lost
        self._hear(await server.ask(CONNECT_SECONDS, None, BEAT, (server.names.parts,), server.part))

    async def _beat(self) -> None:
        await self._tell_life()
        self._ending.tell_refused()
        # A store that is away must not stop the heart.
        if self._has_joined and (self._compared is None or self._compared.done()):
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
            is_dead = name != self._server.part and now_ms - float(beat) > DEAD_MS
            (dead if is_dead or self._is_over(name) else alive).append(name)
        self._limiter.local.divide(alive, self._server.part)
        self._limiter.dead = f",{','.join(dead)}," if dead else ""
        self._parts, self._alive = alive + dead, alive

    @property
    def gateways(self) -> int:
        """How many processes live, this one included."""
        return max(1, len(self._alive))

    def _is_over(self, part: str) -> bool:
        """Whether its process cannot be alive."""
        return is_before(part, self._server.part, self._places)

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
            await drop_leases(
                self._link, self._server, names, lambda part: part in gone or self._is_over(part)
            )
            self._unclean = False
            before = [part for part in self._parts if self._is_over(part)]
            if gone or before:
                await self._link.call(("ZREM", names.parts, *gone, *before))


async def _note_nothing() -> None:
    pass
