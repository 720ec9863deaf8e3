"""A peer that answers with exactly the bytes a test wrote down, on a real loopback socket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from gateway_proxy.proxy.upstream import HttpProxy, Origin, Timeouts, UpstreamPool

HEAD = b"POST /v1/chat HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
SHORT = Timeouts(connect=0.2, first_byte=0.2, between_bytes=0.2)
PATIENT = Timeouts(connect=5, first_byte=5, between_bytes=5)

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One accepted connection, as a script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        self.gone = asyncio.Event()

    async def request(self) -> bytes:
        """Read one request; its head is returned. Ends the script when the client has closed."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                self.body = await self.reader.readexactly(int(line.split(b":")[1]))
        return head

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def closed(self) -> None:
        """Wait until the client has closed its side."""
        while await self.reader.read(65536):
            pass


class Server:
    """Counts what reached it; `origin` is where it listens."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.origin = Origin("http", "127.0.0.1", 0)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            await self.script(Peer(reader, writer, self.connections))
        with contextlib.suppress(ConnectionError, RuntimeError):
            writer.close()
        self.tasks.discard(task)


@contextlib.asynccontextmanager
async def serving(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Run a scripted server on a free loopback port."""
    server = Server(script)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls, limit=2**20)
    port = listener.sockets[0].getsockname()[1]
    server.origin = Origin("https" if tls else "http", "127.0.0.1", port)
    try:
        yield server
    finally:
        listener.close()
        for writer in server.writers:
            writer.transport.abort()
        for task in tuple(server.tasks):
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def pool_to(
    origin: Origin,
    timeouts: Timeouts = PATIENT,
    *,
    ssl_context: ssl.SSLContext | None = None,
    http_proxy: HttpProxy | None = None,
    max_connections: int = 1000,
    max_idle: int = 256,
    idle_seconds: float = 30.0,
) -> AsyncIterator[UpstreamPool]:
    """A pool that is closed again."""
    pool = UpstreamPool(
        origin,
        timeouts,
        ssl_context=ssl_context,
        http_proxy=http_proxy,
        max_connections=max_connections,
        max_idle=max_idle,
        idle_seconds=idle_seconds,
    )
    try:
        yield pool
    finally:
        await pool.close()


def answering(*answers: bytes, hang: bool = False) -> Script:
    """Answer the n-th request of each connection with the n-th bytes; then close, or hang."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.write(answer)
        if hang:
            await peer.closed()

    return script


async def exchange(pool: UpstreamPool, limit_bytes: int = 10_000_000) -> tuple[int, bytes]:
    """Send the standard request, read the whole answer."""
    response = await pool.send(HEAD, b"{}")
    return response.status, await response.read_all(limit_bytes)
