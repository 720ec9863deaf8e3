"""CPU cost of the upstream client alone: microseconds of our process per request and per streamed chunk.

Run `python -m bench.upstream` (about 3 s). The peer is a raw echo of canned bytes in a subprocess; both sides use
uvloop on loopback. CPU is user + system time of this process, so wall-clock noise does not count.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
import sys
import time

import uvloop

from gateway_proxy.proxy.upstream import Origin, Timeouts, UpstreamPool

ANSWER_HEADERS = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 02 Nov 2026 10:00:00 GMT\r\ncontent-type: application/json\r\n"
    b"connection: keep-alive\r\nserver: fake\r\nx-request-id: req_0123456789abcdef\r\n"
    b"openai-processing-ms: 12\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
)
ANSWER = ANSWER_HEADERS + b"content-length: 1024\r\n\r\n" + b"x" * 1024
STREAM_HEAD = ANSWER_HEADERS + b"transfer-encoding: chunked\r\n\r\n"
EVENT = b"data: " + b"y" * 250 + b"\n\n"
CHUNK = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
REQUEST_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\ncontent-type: application/json\r\ncontent-length: 1024\r\n\r\n"
STREAM_REQUEST = b"GET /stream HTTP/1.1\r\nhost: fake\r\n\r\n"
CHUNKS = 100


class Peer(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET"):
            self.transport.write(STREAM_HEAD)  # type: ignore[attr-defined]
            self.left = CHUNKS
            asyncio.get_running_loop().call_later(0.005, self.tick)
        else:
            self.transport.write(ANSWER)  # type: ignore[attr-defined]

    def tick(self) -> None:
        self.left -= 1
        if self.left:
            self.transport.write(CHUNK)  # type: ignore[attr-defined]
            asyncio.get_running_loop().call_later(0.005, self.tick)
        else:
            self.transport.write(b"0\r\n\r\n")  # type: ignore[attr-defined]


def serve(listener: socket.socket) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Peer, sock=listener)
        await server.serve_forever()

    uvloop.run(run())


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(port: int) -> None:
    pool = UpstreamPool(Origin("http", "127.0.0.1", port), Timeouts(5, 5, 5))
    body = b"q" * 1024
    requests = 0
    ends_at = 0.0

    async def worker() -> None:
        nonlocal requests
        while time.monotonic() < ends_at:
            response = await pool.send(REQUEST_HEAD, body)
            while (data := response.take()) != b"":
                if data is None:
                    await response.read()
            requests += 1

    for clients in (1, 64):
        requests = 0
        ends_at = time.monotonic() + 1.0
        before = cpu_seconds()
        await asyncio.gather(*(worker() for _ in range(clients)))
        spent = cpu_seconds() - before
        print(
            f"{clients:3d} connections: {spent / requests * 1e6:6.1f} µs CPU per request ({requests} requests)"
        )

    chunks = 0

    async def reader() -> None:
        nonlocal chunks
        response = await pool.send(STREAM_REQUEST)
        while await response.read():
            chunks += 1

    async def pushed() -> None:
        nonlocal chunks
        response = await pool.send(STREAM_REQUEST)
        done = asyncio.get_running_loop().create_future()

        def count(_: bytes) -> None:
            nonlocal chunks
            chunks += 1

        response.stream_to(count, lambda _: done.set_result(None))
        await done

    for name, stream in (("read()", reader), ("stream_to()", pushed)):
        chunks = 0
        before = cpu_seconds()
        await asyncio.gather(*(stream() for _ in range(92)))
        spent = cpu_seconds() - before
        print(f" 92 streams by {name}: {spent / chunks * 1e6:6.1f} µs CPU per chunk ({chunks} chunks)")
    await pool.close()


def main() -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    peer = multiprocessing.get_context("fork").Process(target=serve, args=(listener,), daemon=True)
    peer.start()
    try:
        uvloop.run(measure(listener.getsockname()[1]))
    finally:
        peer.terminate()
        peer.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
