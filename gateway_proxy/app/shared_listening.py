"""Accepts from a listening socket that other processes accept from too: one connection at a time.

The event loop's own way takes all that wait at once, so whichever worker wakes up first would have a whole burst to itself.
"""

import asyncio
import logging
import socket
import ssl

from aiohttp import web

from gateway_proxy.core.tasks import spawn

log = logging.getLogger("gateway_proxy.server")

RETRY_SECONDS = 1.0


class SharedSite(web.BaseSite):
    """A site on a socket that listens already. Each turn of the event loop takes one connection."""

    def __init__(
        self, runner: web.BaseRunner, sock: socket.socket, ssl_context: ssl.SSLContext | None
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context)
        self._sock = sock
        self._address = sock.getsockname()

    @property
    def name(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    async def start(self) -> None:
        await super().start()
        self._listen()

    def _listen(self) -> None:
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._sock, self._accept)

    async def stop(self) -> None:
        """The others go on to accept."""
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
        self._runner._unreg_site(self)

    def _accept(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # another worker was quicker, or the client has left
        except OSError as error:  # no descriptors, say: asking at once again would only keep the core busy
            log.error("no connection can be accepted: %s", error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._sock)
            loop.call_later(RETRY_SECONDS, self._listen)
            return
        connection.setblocking(False)
        spawn(self._serve(connection), "take a connection")

    async def _serve(self, connection: socket.socket) -> None:
        server = self._runner.server
        assert server is not None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                server, connection, ssl=self._ssl_context
            )
        except OSError:  # it left, or spoke no TLS
            connection.close()
