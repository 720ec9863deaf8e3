"""One gateway may be several processes: this is what each of them knows of the others, and its line to the supervisor.

A gateway of one process is one part, the first, and talks to nobody. Otherwise the first does for all of them what is
done once: it reports to the store, writes the audit log, sends notifications and runs the admin process. Frames on the
line are pickled: both ends are this program, and the line is an inherited socket pair.
"""

import asyncio
import logging
import os
import pickle
import socket
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from gateway_proxy.app.handing import hand_over, take_handed
from gateway_proxy.app.site_line import LineBroken, read_frame, write_frame
from gateway_proxy.app.site_process import SiteDown
from gateway_proxy.core.tasks import spawn

log = logging.getLogger("gateway_proxy.workers")

VARIABLE = "GATEWAY_PROXY_PART"  # in the environment of a worker: `PartPlace` as JSON
GATHER_SECONDS = 2.0
REPORT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """What a part tells the others of itself: how far it followed the change log, and what is wrong with it."""

    applied_seq: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Which of how many, and the inherited descriptors of its sockets."""

    number: int
    count: int
    line: int
    door: int
    sockets: dict[str, list[int]] = field(default_factory=dict)


def pack(message: tuple[str, Any]) -> bytes:
    """A frame's body: what it is, and its value."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


async def read_message(reader: asyncio.StreamReader) -> tuple[str, Any]:
    """The next frame. Raises LineBroken."""
    what, value = pickle.loads(await read_frame(reader))  # noqa: S301 - from our own parent or child
    return what, value


class Part:
    """The only part of a gateway, until `join` makes it one of several."""

    number = 0
    count = 1
    is_first = True
    must_stop = False
    hands_over = False  # it ends, and the next process in its place follows

    def __init__(self) -> None:
        self.others: dict[int, State] = {}
        self.on_news: Callable[[], None] = lambda: None  # the others' state changed
        self.on_stop: Callable[[], None] = lambda: None
        self.on_reload: Callable[[], None] = lambda: None
        self.on_samples: Callable[[], Any] = dict  # this process's metrics
        # Somebody for the admin process.
        self.on_visitor: Callable[[socket.socket], None] = socket.socket.close
        self._writer: asyncio.StreamWriter | None = None
        self._door: socket.socket | None = None
        self._told = State(-1)
        self._gathered: asyncio.Future[list[Any]] | None = None

    @property
    def is_led(self) -> bool:
        """Whether a supervisor starts and ends it, and listens."""
        return self._writer is not None

    async def join(self, place: PartPlace) -> None:
        """Take the place among the others."""
        self.number, self.count = place.number, place.count
        self.is_first = place.number == 0
        reader, self._writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=place.line))
        self._door = socket.socket(fileno=place.door)
        self._door.setblocking(False)
        if self.is_first:
            asyncio.get_running_loop().add_reader(self._door, self._let_in)
        spawn(self._listen(reader), "listen to the supervisor")

    def spool_folder(self, data_dir: Path) -> Path:
        """Each process has a journal of its own."""
        return data_dir / name_spool(self.number)

    def name_file(self, name: str) -> str:
        """Of what each process keeps for itself."""
        return name if self.number == 0 else f"{name}-{self.number}"

    def books_id(self, gateway_id: str) -> str:
        """Under which the store keeps how far that journal is in the books."""
        return name_books(gateway_id, self.number)

    def floor(self, own_seq: int) -> int:
        """How far all parts have followed the change log."""
        return min([own_seq, *(state.applied_seq for state in self.others.values())])

    def problems(self) -> list[str]:
        """What is wrong with the others."""
        return [
            f"worker {number}: {problem}"
            for number, state in sorted(self.others.items())
            for problem in state.problems
        ]

    def describe(self) -> dict[str, int]:
        """For readiness: which one answers, and how many serve."""
        return {"answering": self.number, "serving": 1 + len(self.others), "configured": self.count}

    def tell_state(self, applied_seq: int, problems: list[str]) -> None:
        """Tell the others, if it is news."""
        state = State(applied_seq, tuple(problems))
        if state != self._told and self._writer is not None:
            self._told = state
            self._send("state", state)

    def tell_ready(self) -> None:
        """This process serves."""
        self._send("ready", None)

    async def tell_again(self, tell: Callable[[], None]) -> None:
        """Have `tell` called every second, and the supervisor know that this event loop turns; runs until cancelled."""
        while self.is_led:
            tell()
            self._send("alive", None)
            await asyncio.sleep(REPORT_SECONDS)

    async def gather_samples(self) -> list[Any]:
        """The metrics of all parts, those included that have ended; of this one alone if the supervisor does not answer."""
        if not self.is_led:
            return [self.on_samples()]
        if self._gathered is None:
            self._gathered = asyncio.get_running_loop().create_future()
            self._send("gather", None)
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                return await asyncio.shield(self._gathered)
        except TimeoutError:
            self._gathered = None
            return [self.on_samples()]

    async def connect_site(self) -> socket.socket:
        """A connection to the admin process, which the first part runs. Raises SiteDown."""
        ours, theirs = socket.socketpair()
        try:
            assert self._door is not None
            hand_over(self._door, theirs)
        except OSError as error:
            ours.close()
            raise SiteDown("the first worker does not take connections") from error
        finally:
            theirs.close()
        ours.setblocking(False)
        return ours

    # --- inside

    def _send(self, what: str, value: Any) -> None:
        if self._writer is not None:
            write_frame(self._writer, pack((what, value)))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                what, value = await read_message(reader)
            except LineBroken:
                log.error("the supervisor is gone; this worker finishes what runs")
                if self._writer is not None:
                    self._writer.close()
                self._writer = None
                self.must_stop = True
                self.on_stop()
                return
            self._take(what, value)

    def _take(self, what: str, value: Any) -> None:
        if what == "others":
            self.others = value
            self.others.pop(self.number, None)
            self.on_news()
        elif what == "sample":
            self._send("samples", (value, self.on_samples()))
        elif what == "gathered":
            if self._gathered is not None and not self._gathered.done():
                self._gathered.set_result(value)
            self._gathered = None
        elif what == "reload":
            self.on_reload()
        elif what == "stop":
            self.hands_over = value
            if not self.must_stop:
                self.must_stop = True
                self.on_stop()
        elif what == "force":
            self.on_stop()

    def _let_in(self) -> None:
        assert self._door is not None
        for visitor in take_handed(self._door) or ():
            self.on_visitor(visitor)


def name_spool(number: int) -> str:
    """The folder in data_dir of a part's journal."""
    return "spool" if number == 0 else f"spool-{number}"


def name_books(gateway_id: str, number: int) -> str:
    """The first part's is the gateway's own, so that the number of workers can be changed."""
    return gateway_id if number == 0 else f"{gateway_id}/{number}"


def find_place(environment: MutableMapping[str, str] = os.environ) -> PartPlace | None:
    """What the supervisor wrote for this worker, taken so that no child finds it; None for a gateway of one process."""
    text = environment.pop(VARIABLE, "")
    return PartPlace(**orjson.loads(text)) if text else None
