"""The admin process: `python -m gateway_proxy.app.site_main DOOR LINE`, started by the gateway and by nobody else.

Page rendering and long queries happen here, so that the gateway's event loop never waits for them. DOOR and LINE are
inherited sockets: through the door the gateway hands over connections, each a socket of its own; the line carries
settings and questions (`site_line`). When the gateway is gone, so is this process.
"""

import asyncio
import logging
import socket
import sys

from aiohttp import web

from gateway_proxy.app.handing import take_handed
from gateway_proxy.app.inside import SettingsView
from gateway_proxy.app.process import become_helper, give_way, run_loop, start_logging
from gateway_proxy.app.site import build_site
from gateway_proxy.app.site_line import LineBroken, ParentLine, SiteSettings
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.tasks import drain, spawn
from gateway_proxy.storage import Store, StoreError, open_store

log = logging.getLogger("gateway_proxy.site")

END_SECONDS = 2.0
LINGER_SECONDS = 1.0  # how long the rest of a body that nobody wants is read


class Site:
    """Serves the newest settings on every connection that is handed over."""

    def __init__(self, store: Store, line: ParentLine, clock: Clock) -> None:
        self._store = store
        self._line = line
        self._clock = clock
        self._runner: web.AppRunner | None = None

    async def put(self, settings: SiteSettings) -> None:
        """Serve these settings from now on; what runs on the old ones has two seconds to end."""
        view = SettingsView(self._line.ask, settings.config, self._clock)
        app = build_site(settings.config, self._store, settings.pepper, self._clock, view)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=END_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=16_384,
            max_field_size=32_768,
        )
        await runner.setup()
        before, self._runner = self._runner, runner
        if before is not None:
            spawn(before.cleanup(), "end the site of the former settings")

    async def take(self, connection: socket.socket) -> None:
        """Serve one connection."""
        runner = self._runner
        assert runner is not None and runner.server is not None
        connection.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(runner.server, connection)

    async def close(self) -> None:
        """Let running requests end, for two seconds at most."""
        if self._runner is not None:
            await self._runner.cleanup()


async def _run(door: socket.socket, line_socket: socket.socket) -> None:
    door.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=line_socket)
    line = ParentLine(reader, writer)
    try:
        await _serve(door, line)
    finally:
        writer.close()


async def _serve(door: socket.socket, line: ParentLine) -> None:
    loop = asyncio.get_running_loop()
    settings = await line.next_settings()
    give_way(settings.config.server.workers)
    clock = Clock()
    store = await open_store(settings.config.storage.url.reveal(), create=False, clock=clock)
    site = Site(store, line, clock)
    gone = asyncio.Event()

    def take_connections() -> None:
        if not _take_handed(door, site):
            loop.remove_reader(door)
            gone.set()

    try:
        await site.put(settings)
        del settings
        loop.add_reader(door, take_connections)
        following = spawn(_follow(line, site), "follow the settings")
        line.tell_ready()
        await gone.wait()
        following.cancel()
        await site.close()
        await drain(END_SECONDS)
    finally:
        await store.close()


def _take_handed(door: socket.socket, site: Site) -> bool:
    """Serve what the gateway handed over; False once it has closed the door."""
    connections = take_handed(door)
    for connection in connections or ():
        spawn(site.take(connection), "serve a connection")
    return connections is not None


async def _follow(line: ParentLine, site: Site) -> None:
    """Put new settings in force. The end of the line is the end of the door too, which ends us."""
    while True:
        try:
            settings = await line.next_settings()
        except LineBroken:
            return
        try:
            await site.put(settings)
        except Exception:
            log.exception("the admin side stays on its former settings")


def main() -> None:
    """Serve until the gateway is gone."""
    become_helper()
    start_logging()
    door, line = (socket.socket(fileno=int(text)) for text in sys.argv[1:3])
    try:
        run_loop(lambda: _run(door, line))
    except LineBroken:
        return  # the gateway left before we had begun
    except StoreError as error:
        log.error("the admin process cannot start: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
