"""One gateway of several processes: starts the workers, starts again those that die, ends them.

Workers share nothing but the listening sockets, the store and the shared counters. Each has a line to here (`part`),
over which it tells how it stands and is told what to do; signals are for the supervisor only. It imports little and
touches no request, so there is next to nothing in it that could fail.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from gateway_proxy.app.handing import hand_over, take_handed
from gateway_proxy.app.helper_process import HelperProcess
from gateway_proxy.app.part import VARIABLE, State, pack, read_message
from gateway_proxy.app.part_metrics import keep_counted, merge
from gateway_proxy.app.service_manager import ServiceManager
from gateway_proxy.app.site_line import LineBroken, write_frame
from gateway_proxy.core.tasks import end, spawn, wait_for_event

log = logging.getLogger("gateway_proxy.workers")

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
SILENT_SECONDS = 30.0  # an event loop that says nothing for so long stands still
LATE_SECONDS = 20.0  # beyond drain_seconds, until a worker that does not end is killed
SAMPLE_SECONDS = 1.0
Sockets = Mapping[str, Sequence[socket.socket]]


class WorkersFailed(Exception):
    """The first worker ended before it served, and has said why; or all were ended by force."""


class Worker:
    """One process at a time in one place."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: HelperProcess | None = None
        self.state: State | None = None  # while it runs and has said so
        self.is_ready = asyncio.Event()
        self.has_served = False
        self.has_ended = asyncio.Event()
        self.is_stopping = False
        self.heard_at = 0.0
        self.samples: Mapping[str, Any] = {}  # its last known metrics
        self.door: socket.socket | None = None
        self._line: asyncio.StreamWriter | None = None

    def send(self, what: str, value: Any = None) -> None:
        """One message, if it runs."""
        if self._line is not None and not self._line.is_closing():
            write_frame(self._line, pack((what, value)))

    def stop(self, *, hands_over: bool) -> None:
        """Have it finish what runs."""
        self.is_stopping = True
        self.send("stop", hands_over)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.process is not None:
            self.process.kill()

    async def live(
        self, command: Sequence[str], count: int, sockets: Sockets, hear: Callable[["Worker", str, Any], None]
    ) -> int:
        """One process from its start to its end; returns the exit code. Raises OSError when it cannot be started."""
        loop = asyncio.get_running_loop()
        line, their_line = socket.socketpair()
        self.door, their_door = socket.socketpair()
        self.door.setblocking(False)
        numbers = {name: [one.fileno() for one in some] for name, some in sockets.items()}
        place = {"number": self.number, "count": count, "line": their_line.fileno(), "door": their_door.fileno(),
                 "sockets": numbers}  # fmt: skip
        try:
            self.process = HelperProcess(
                command,
                pass_fds=[their_line.fileno(), their_door.fileno(), *(n for some in numbers.values() for n in some)],
                environment={**os.environ, VARIABLE: orjson.dumps(place).decode()},
            )  # fmt: skip
        except OSError:
            line.close()
            self.door.close()
            raise
        finally:
            their_line.close()
            their_door.close()
        self.is_stopping, self.heard_at = False, loop.time()
        self.has_ended.clear()
        reader, self._line = await asyncio.open_unix_connection(sock=line)
        loop.add_reader(self.door, hear, self, "visitors", None)
        try:
            with contextlib.suppress(LineBroken):
                while True:
                    what, value = await read_message(reader)
                    self.heard_at = loop.time()
                    hear(self, what, value)
            return await self.process.wait()
        finally:
            loop.remove_reader(self.door)
            self.door.close()
            self._line.close()
            self.process = self.state = self.door = self._line = None
            self.is_ready.clear()
            self.has_ended.set()


class Supervisor:
    """`command` starts a worker, which finds its place in the environment; `check` says by its exit code whether one could start now."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        sockets: Sockets,
        drain_seconds: float,
        check: Sequence[str] | None = None,
    ) -> None:
        self._command = command
        self._check = check
        self._sockets = sockets
        self._drain_seconds = drain_seconds
        self._workers = [Worker(number) for number in range(count)]
        self._stopping = asyncio.Event()
        self._past: dict[str, Any] = {}  # what workers that have ended had counted
        self._asking: set[Worker] = set()  # workers that wait for the metrics of all
        self._missing: set[int] = set()  # workers whose metrics are awaited
        self._failed = ""
        self._rolling: asyncio.Task[None] | None = None

    async def run(self, announce: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; SIGHUP reloads, SIGUSR2 restarts one worker after the other. Raises WorkersFailed."""
        loop = asyncio.get_running_loop()
        manager = ServiceManager()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._tell_all, "reload")
        loop.add_signal_handler(signal.SIGUSR2, self._begin_rolling)
        keeping = []
        for worker in self._workers:
            keeping.append(spawn(self._keep(worker), f"keep worker {worker.number} running"))
            if worker.number == 0:  # it brings the schema up to date and makes what is not there yet
                await self._wait_until_ready([worker])
        await self._wait_until_ready(self._workers)
        watching = [
            spawn(manager.keep_alive(), "tell the watchdog"),
            spawn(self._watch(), "watch the workers"),
        ]
        if not self._stopping.is_set():
            announce()
            manager.tell("READY=1", "STATUS=Serving.", f"MAINPID={os.getpid()}")
        await self._stopping.wait()
        manager.tell("STOPPING=1", "STATUS=Finishing what runs.")
        if self._rolling is not None:
            self._rolling.cancel()
        _, late = await asyncio.wait(keeping, timeout=self._drain_seconds + LATE_SECONDS)
        if late:
            log.error("%d workers do not end; they are killed", len(late))
            for worker in self._workers:
                worker.kill()
            await asyncio.wait(late)
        await end(watching)
        if self._failed:
            raise WorkersFailed(self._failed)

    # --- inside

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._failed = self._failed or "the workers were ended by a second signal"
            self._tell_all("force")
            return
        self._stopping.set()
        for worker in self._workers:
            worker.stop(hands_over=False)

    def _tell_all(self, what: str, value: Any = None) -> None:
        for worker in self._workers:
            worker.send(what, value)

    async def _wait_until_ready(self, workers: Sequence[Worker]) -> None:
        for worker in workers:
            waits = [spawn(event.wait(), "wait for a worker") for event in (worker.is_ready, self._stopping)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _keep(self, worker: Worker) -> None:
        """Have a process in this place until all are to end."""
        loop = asyncio.get_running_loop()
        pause, served = FIRST_PAUSE_SECONDS, False
        while not self._stopping.is_set():
            began, code = loop.time(), 1
            try:
                code = await worker.live(self._command, len(self._workers), self._sockets, self._hear)
            except OSError as error:
                log.error("worker %d cannot be started: %s", worker.number, error)
            self._forget(worker)
            served = served or worker.has_served
            if worker.is_stopping or self._stopping.is_set():
                pause = FIRST_PAUSE_SECONDS
                continue
            if worker.number == 0 and not served:  # it has said why, and the others could do no better
                self._failed = f"worker {worker.number} could not start"
                self._stop()
                return
            log.error("worker %d has ended (%d); it is started again", worker.number, code)
            pause = FIRST_PAUSE_SECONDS if loop.time() - began > LONGEST_PAUSE_SECONDS else pause * 2
            await wait_for_event(self._stopping, min(pause, LONGEST_PAUSE_SECONDS))

    def _forget(self, worker: Worker) -> None:
        self._past = merge([self._past, keep_counted(worker.samples)])
        worker.samples = {}
        self._missing.discard(worker.number)
        self._tell_states()
        self._answer_when_complete()

    def _hear(self, worker: Worker, what: str, value: Any) -> None:
        if what == "state":
            worker.state = value
            self._tell_states()
        elif what == "ready":
            worker.is_ready.set()
            worker.has_served = True
            log.info("worker %d serves", worker.number)
            self._tell_states()
            if self._stopping.is_set():
                worker.stop(hands_over=False)
        elif what == "gather":
            self._asking.add(worker)
            self._gather()
        elif what == "samples":
            worker.samples = value[1]
            self._missing.discard(worker.number)
            self._answer_when_complete()
        elif what == "visitors":
            self._pass_on(worker)

    def _tell_states(self) -> None:
        states = {w.number: w.state for w in self._workers if w.state is not None and w.is_ready.is_set()}
        self._tell_all("others", states)

    def _gather(self) -> None:
        if self._missing:
            return  # what is asked for already will do
        self._missing = {worker.number for worker in self._workers if worker.is_ready.is_set()}
        self._tell_all("sample")
        asyncio.get_running_loop().call_later(SAMPLE_SECONDS, self._answer)

    def _answer_when_complete(self) -> None:
        if not self._missing:
            self._answer()

    def _answer(self) -> None:
        """With what is known by now: a worker that does not say counts as it did."""
        self._missing.clear()
        known = [self._past, *(worker.samples for worker in self._workers)]
        asking, self._asking = self._asking, set()
        for worker in asking:
            worker.send("gathered", known)

    def _pass_on(self, worker: Worker) -> None:
        """Connections for the admin process, which the first worker runs."""
        assert worker.door is not None
        visitors = take_handed(worker.door)
        if visitors is None:
            asyncio.get_running_loop().remove_reader(worker.door)
        for visitor in visitors or ():
            first = self._workers[0].door
            # It starts, or is full: the other end sees that nobody answers.
            with contextlib.suppress(OSError):
                if first is not None:
                    hand_over(first, visitor)
            visitor.close()

    async def _watch(self) -> None:
        """Kill workers whose event loop stands still."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            for worker in self._workers:
                is_silent = worker.is_ready.is_set() and loop.time() - worker.heard_at > SILENT_SECONDS
                if is_silent and worker.process is not None:
                    log.error(
                        "worker %d has said nothing for %d s; it is killed", worker.number, SILENT_SECONDS
                    )
                    worker.kill()

    def _begin_rolling(self) -> None:
        if self._rolling is None or self._rolling.done():
            self._rolling = spawn(self._roll(), "restart the workers one after the other")

    async def _roll(self) -> None:
        if self._check is not None and not await _succeeds(self._check):
            return
        for worker in self._workers:
            log.info("worker %d is restarted", worker.number)
            worker.stop(hands_over=True)
            try:
                async with asyncio.timeout(self._drain_seconds + LATE_SECONDS):
                    await worker.has_ended.wait()
            except TimeoutError:
                worker.kill()
            await worker.is_ready.wait()
        log.info("all workers were restarted")


async def _succeeds(check: Sequence[str]) -> bool:
    """A worker that is ended could not come back on settings that have gone bad since it started."""
    process = await asyncio.create_subprocess_exec(
        *check, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )  # fmt: skip
    told, _ = await process.communicate()
    if process.returncode:
        log.error("no worker is restarted, none could start: %s", told.decode(errors="replace").strip())
    return process.returncode == 0


def make_command(source: Path | None, name: str = "serve") -> list[str]:
    """How a worker is started: the same program from the same place, on the same settings."""
    settings = [] if source is None else ["-c", str(source)]
    return [sys.executable, "-P", "-m", "gateway_proxy", name, *settings]
