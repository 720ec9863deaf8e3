"""A TCP proxy that does what networks do: delays, trickles, resets, swallows everything, forgets connections.

It runs in a thread and loop of its own, so that tests may block. What it lost in a black hole it delivers afterwards,
as TCP's retransmissions would; a forgotten (half-open) connection stays silent for good.

    with FaultProxy(("127.0.0.1", 5432)) as proxy:
        connect_to(proxy.port)
        proxy.blackhole()
        proxy.heal()
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: close(2) sends RST
Target = tuple[str, int] | str


class FaultProxy:
    """Listens on 127.0.0.1; `target` is (host, port), or the path of a Unix socket."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._pairs: set[_Pair] = set()
        self._latency_seconds = 0.0
        self._bytes_a_second = 0
        self._resets = False
        self.accepted = 0
        self._thread.start()
        self.port: int = self._call(self._start())

    # Faults

    def delay(self, seconds: float) -> None:
        """Each piece is that late, one way."""
        self._latency_seconds = seconds

    def drip(self, bytes_a_second: int) -> None:
        """So many bytes a second, each way of each connection."""
        self._bytes_a_second = bytes_a_second

    def reset(self, *, refuse: bool = False) -> None:
        """Every connection breaks with RST; with `refuse` every new one as well."""

        async def work() -> None:
            self._resets = refuse
            for pair in list(self._pairs):
                pair.reset()

        self._call(work())

    def blackhole(self) -> None:
        """Nothing passes any more, and nobody is told. New connections are accepted and get no answer."""
        self._call(self._do(self._open.clear))

    def forget(self) -> None:
        """The connections of now are half-open: what the client sends is lost. New ones work."""

        async def work() -> None:
            for pair in list(self._pairs):
                pair.forget()

        self._call(work())

    def heal(self, *, lossy: bool = False) -> None:
        """All is well again, but for connections that broke or were forgotten; with `lossy` those of now are forgotten, as
        where TCP's next retransmission is far away."""
        if lossy:
            self.forget()

        async def work() -> None:
            self._latency_seconds, self._bytes_a_second, self._resets = 0.0, 0, False
            self._open.set()

        self._call(work())

    # Life

    def close(self) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _do(self, act: Callable[[], object]) -> None:
        act()

    async def _start(self) -> int:
        self._open = asyncio.Event()
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        for pair in list(self._pairs):
            pair.reset()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        pair = _Pair(writer)
        self._pairs.add(pair)
        try:
            if self._resets:
                pair.reset()
                return
            await self._open.wait()
            if reader._eof:  # type: ignore[attr-defined]
                return  # gave up in the black hole: its SYN would have been lost there
            upstream = await self._reach()
            pair.writers.append(upstream[1])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(pair, reader, upstream[1]))
                group.create_task(self._pump(pair, upstream[0], writer))
        except* (OSError, asyncio.CancelledError):
            pair.reset()
        finally:
            self._pairs.discard(pair)
            pair.close()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, str):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(self, pair: "_Pair", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if self._latency_seconds:
                await asyncio.sleep(self._latency_seconds)
            while data:
                await self._open.wait()
                if pair.forgotten:
                    break
                rate = self._bytes_a_second
                piece, data = (
                    (data[: max(1, rate // 20)], data[max(1, rate // 20) :]) if rate else (data, b"")
                )
                writer.write(piece)
                await writer.drain()
                if rate:
                    await asyncio.sleep(len(piece) / rate)
        if not pair.forgotten:
            await self._open.wait()
            pair.close()


class _Pair:
    """A connection of a client, and the one to the target that belongs to it."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.writers = [client]
        self.forgotten = False

    def forget(self) -> None:
        self.forgotten = True
        for writer in self.writers[1:]:
            writer.transport.abort()

    def reset(self) -> None:
        for writer in self.writers:
            if (raw := writer.get_extra_info("socket")) is not None and raw.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
