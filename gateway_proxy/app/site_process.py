"""The gateway's end of its admin process: starts it, starts it again, hands it connections, answers its questions.

Nothing of the dashboard or the admin API is imported here, and nothing here waits for that process on behalf of the
data plane. Two socket pairs are inherited by the child (see `site_main`); no address, file or port leads to it.
"""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import orjson

from gateway_proxy.app.handing import hand_over
from gateway_proxy.app.helper_process import HelperProcess
from gateway_proxy.app.site_line import (
    LineBroken,
    SiteSettings,
    pack_answer,
    pack_settings,
    read_frame,
    write_frame,
)
from gateway_proxy.core.tasks import spawn

log = logging.getLogger("gateway_proxy.site")

START_SECONDS = 15.0
END_SECONDS = 4.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0


class SiteDown(ConnectionError):
    """The admin process does not serve now."""


class SiteProcess:
    """One admin process at a time. `settings` gives what it is to serve, `answer` answers its questions."""

    def __init__(self, settings: Callable[[], SiteSettings], answer: Callable[..., Any]) -> None:
        self._settings = settings
        self._answer = answer
        self._keeper: asyncio.Task[Any] | None = None
        self._decided = asyncio.Event()  # whether it serves is known
        self._serves = False
        self._stopping = False
        self._door: socket.socket | None = None
        self._line: asyncio.StreamWriter | None = None
        self._told = ""
        self.pid: int | None = None

    @property
    def serves(self) -> bool | None:
        """Whether it serves now; None as long as it is not wanted at all."""
        return None if self._keeper is None else self._serves

    def begin(self) -> None:
        """Have it running from now on; returns at once. Further calls do nothing."""
        if self._keeper is None and not self._stopping:
            self._keeper = spawn(self._keep(), "keep the admin process running")

    async def connect(self) -> socket.socket:
        """A new connection to it; waits while it starts. Raises SiteDown."""
        ours, theirs = socket.socketpair()
        try:
            await self.hand_over(theirs)
        except SiteDown:
            ours.close()
            raise
        ours.setblocking(False)
        return ours

    async def hand_over(self, theirs: socket.socket) -> None:
        """Give it one end of a connection, which is closed here; waits while it starts. Raises SiteDown."""
        with theirs:
            await self._wait_until_it_serves()
            if self._door is None:
                raise SiteDown("the admin process has ended")
            try:
                hand_over(self._door, theirs)
            except OSError as error:  # it is gone, or takes no connections any more
                raise SiteDown("the admin process does not take connections") from error

    async def _wait_until_it_serves(self) -> None:
        self.begin()
        if not self._decided.is_set() and not self._stopping:
            try:
                async with asyncio.timeout(START_SECONDS):
                    await self._decided.wait()
            except TimeoutError:
                raise SiteDown("the admin process does not start") from None
        if not self._serves:
            raise SiteDown("the admin process does not run")

    def tell_settings(self) -> None:
        """Give it the settings in force, if they are others than it has."""
        if self._line is not None and self._serves:
            self._send_settings(self._line)

    async def stop(self) -> None:
        """End it: it has two seconds for what runs, and is killed after four."""
        self._stopping = True
        self._close_sockets()
        if self._keeper is not None:
            if self.pid is None:
                self._keeper.cancel()  # it pauses before the next start
            await asyncio.wait((self._keeper,))

    # --- inside

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = loop.time()
            try:
                code = await self._live()
            except OSError as error:
                log.error("the admin process cannot be started: %s", error)
                self._decided.set()
            else:
                if self._stopping:
                    return
                log.error("the admin process has ended (%d); it is started again", code)
            pause = FIRST_PAUSE_SECONDS if loop.time() - began > LONGEST_PAUSE_SECONDS else pause * 2
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))

    async def _live(self) -> int:
        """One process from start to end; returns its exit code."""
        door, their_door = socket.socketpair()
        line, their_line = socket.socketpair()
        door.setblocking(False)
        self._door = door
        served = False
        try:
            process = _start(their_door, their_line)
        except BaseException:
            line.close()
            self._close_sockets()
            raise
        finally:
            their_door.close()
            their_line.close()
        self.pid = process.pid
        try:
            reader, self._line = await asyncio.open_unix_connection(sock=line)
            self._send_settings(self._line, anew=True)
            if self._stopping:
                self._close_sockets()
            with contextlib.suppress(LineBroken):
                while True:
                    message = orjson.loads(await read_frame(reader))
                    served |= self._take(message, self._line)
        finally:
            self._serves = False
            if served:
                self._decided.clear()  # whoever asks now may wait for the next one
            else:
                self._decided.set()
            self._close_sockets()
            code = await _end(process)
            self.pid = None
        return code

    def _take(self, message: dict[str, Any], line: asyncio.StreamWriter) -> bool:
        """Act on one message of the process; True once it serves."""
        if "ready" in message:
            self._serves = True
            self._decided.set()
            self._send_settings(line)  # they may have changed while it started
            return True
        try:
            body = pack_answer(message["id"], self._answer(message["ask"], *message["with"]))
        except Exception as error:
            log.exception("a question of the admin process failed")
            body = pack_answer(message["id"], None, type(error).__name__)
        write_frame(line, body)
        return False

    def _send_settings(self, line: asyncio.StreamWriter, *, anew: bool = False) -> None:
        settings = self._settings()
        if anew or settings.config.digest != self._told:
            self._told = settings.config.digest
            write_frame(line, pack_settings(settings))

    def _close_sockets(self) -> None:
        """Tells the process to end."""
        if self._door is not None:
            self._door.close()
            self._door = None
        if self._line is not None:
            self._line.close()
            self._line = None


def _start(door: socket.socket, line: socket.socket) -> HelperProcess:
    # The same modules as here, wherever the command was started: -P keeps the working directory out. It stays in our
    # session: Linux shares the cores out among sessions first (sched(7), "The autogroup feature"), and a low priority
    # in a session of its own would count for nothing against us.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    numbers = door.fileno(), line.fileno()
    command = (sys.executable, "-P", "-m", "gateway_proxy.app.site_main", *map(str, numbers))
    return HelperProcess(command, pass_fds=numbers, environment=environment)


async def _end(process: HelperProcess) -> int:
    try:
        async with asyncio.timeout(END_SECONDS):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
