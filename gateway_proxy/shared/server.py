"""The scripts as calls, under the epoch that is in force here.

Each command says which epoch it means and which connection it comes on: under another epoch, or after a newer connection
was opened, it does nothing. Each reply carries a number that only grows; one that does not tells that the server has
gone back in time. So does its clock: where it runs apart from the time that has passed here, it was set, and every level
of a bucket that was read by it is wrong. Either way the counters are lost, and made anew from what is known elsewhere.
"""

import asyncio
import logging
from collections.abc import Callable

from gateway_proxy.core.clock import Clock
from gateway_proxy.shared.forms import Form, Forms
from gateway_proxy.shared.link import Link, call_of
from gateway_proxy.shared.names import EPOCH, Names
from gateway_proxy.shared.resp import Command, Disconnected, Late, Part, Reply
from gateway_proxy.shared.scripts import Script

log = logging.getLogger("gateway_proxy.shared")

_LOST = -1
STEP_MS = 2000  # by so much a clock is set, and does not drift


class Lost(Exception):
    """The server does not hold the counters that this gateway knows: another epoch, or an earlier state."""


class Server:
    """`names` is None while no epoch is in force here; `is_ready` whether budgets may be judged."""

    def __init__(self, link: Link, clock: Clock, part: str, *, server_time: bool = True) -> None:
        """Without `server_time` this clock's time goes with each command, for tests that turn its hands."""
        self.link = link
        self.names: Names | None = None
        self.is_ready = False
        self.on_lost: Callable[[], None] = lambda: None
        self._clock = clock
        self._server_time = server_time
        self.number = 0  # the highest that a reply carried
        self._generation = 0
        self._offset_ms: int | None = None  # of the server's clock to our monotonic one
        self._is_new = True  # nothing was heard on this connection under this epoch
        self.forms = Forms()
        self.name_part(part)

    def name_part(self, part: str) -> None:
        """By what name this process is known: gateway id / place . instance. Before anything is asked."""
        self.part = part
        self._field = f"c:{part}"

    @property
    def is_usable(self) -> bool:
        """Whether counters can be asked now."""
        return self.names is not None and self.link.is_usable

    def now_ms(self) -> int:
        """The server's wall clock in Unix milliseconds, as far as it is known: all gateways go by it, and whoever sets
        this machine's clock changes nothing."""
        offset_ms = self._offset_ms
        return self._clock.now_ms() if offset_ms is None else self._monotonic_ms() + offset_ms

    def find_ahead_ms(self, server_ms: int | None = None) -> int:
        """By how much the server's wall clock (`server_ms`, or as far as it is known) is before this machine's."""
        return (self.now_ms() if server_ms is None else server_ms) - self._clock.now_ms()

    def _monotonic_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000

    def enter(self, names: Names, number: int) -> None:
        """This epoch is in force from now on, on the present connection; budgets wait until it is ready."""
        self.names, self.number, self._generation = names, number, self.link.generation
        self.is_ready = False
        self.forms.begin(names, self._speaker(names))
        self._is_new = True

    def leave(self) -> None:
        """Nothing is asked until the next `enter`."""
        self.names, self.is_ready = None, False

    def command(self, script: Script, keys: tuple[str, ...], *arguments: Part) -> tuple[Part, ...]:
        """Raises Disconnected while no epoch is in force."""
        names = self.names
        if names is None:
            raise Disconnected
        return call_of(script, (EPOCH, *keys), *self._speaker(names), self.now(), *arguments)

    def now(self) -> str:
        """What goes with each command: nothing, where the server's clock counts; else µs."""
        return "" if self._server_time else str(self._clock.now_ms() * 1000)

    def _speaker(self, names: Names) -> tuple[Part, ...]:
        """Which epoch a command means, whose it is, and on which of its connections."""
        return names.epoch, self._field, self._generation

    async def ask(
        self,
        timeout_seconds: float,
        late: Late | None,
        script: Script,
        keys: tuple[str, ...],
        *arguments: Part,
    ) -> list[Reply]:
        """The script's reply. Raises Disconnected, TooSlow, Refused, Lost."""
        return await self._ask(timeout_seconds, late, self.command(script, keys, *arguments))

    async def ask_form(
        self, timeout_seconds: float, late: Late | None, form: Form, *varying: str
    ) -> list[Reply]:
        """As `ask`, with what varies after the time."""
        return await self._ask(timeout_seconds, late, form.write(self.now(), *varying))

    async def _ask(self, timeout_seconds: float, late: Late | None, command: Command) -> list[Reply]:
        number, names, sent_at = self.number, self.names, self._monotonic_ms()
        future = self.link.request(command, timeout_seconds, late)
        try:
            reply = await future
        except asyncio.CancelledError:
            if late is not None and future.done() and not future.cancelled() and future.exception() is None:
                late(future.result())
            raise
        self.examine(reply, sent_at)
        assert isinstance(reply, list)
        if self.names is not names:
            # What was granted is not among the leases that were handed over meanwhile.
            if late is not None:
                late(reply)
            raise Lost
        if reply[1] <= number:
            log.error("ALARM: %s has gone back in time: the counters are made anew", self.link.address)
            self._lose()
            raise Lost
        return reply

    def tell(self, late: Late | None, script: Script, keys: tuple[str, ...], *arguments: Part) -> None:
        """A script that nobody waits for. Raises Disconnected."""
        self.link.tell(self.command(script, keys, *arguments), late)

    def tell_form(self, late: Late | None, form: Form, *varying: str) -> None:
        """As `tell`, with what varies after the time."""
        self.link.tell(form.write(self.now(), *varying), late)

    def examine(self, reply: Reply, sent_at: int | None = None) -> None:
        """Raises Refused for an error, Lost for a command under another epoch, and by a clock that was set.

        `sent_at` is when the command was sent, in monotonic milliseconds; without it less can be said of the clock.
        """
        if type(reply) is not list:
            self.link.examine(reply)
        if reply[0] == _LOST:
            self._lose()
            raise Lost
        self.number = max(self.number, reply[1])
        self._examine_clock(reply[2], sent_at)

    def _examine_clock(self, server_ms: int, sent_at: int | None) -> None:
        """A reply was written after its command was sent, and before it came."""
        now = self._monotonic_ms()
        offset_ms = self._offset_ms
        if offset_ms is not None and self._server_time and not self._is_new:
            ahead = server_ms - offset_ms - now
            behind = 0 if sent_at is None else sent_at - (server_ms - offset_ms)
            if max(ahead, behind) > STEP_MS:
                log.error(
                    "ALARM: the clock of %s was set %s by %.1f s: the counters are made anew",
                    self.link.address,
                    *(("forward", ahead / 1000) if ahead > behind else ("back", behind / 1000)),
                )
                self._lose()
                raise Lost
        if sent_at is not None and now - sent_at < STEP_MS // 4:
            self._offset_ms, self._is_new = server_ms - now, False
        elif offset_ms is None:
            self._offset_ms = server_ms - now

    def _lose(self) -> None:
        if self.names is not None:
            self.leave()
            self.on_lost()
