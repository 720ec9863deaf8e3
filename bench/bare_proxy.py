"""The yardstick: a bare aiohttp pass-through, plain idiomatic code, one process on uvloop.

    python bench/bare_proxy.py --port 0 --upstream http://127.0.0.1:9000 [--cafile F]

Forwards POST /v1/* with streaming both ways and does nothing else: what a gateway costs beyond this is the gateway's own cost.
`--upstream` is a base URL with or without /v1. Nothing that a gateway needs belongs here.
"""

import argparse
import asyncio
import signal
import ssl
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, TCPConnector, web

UPSTREAM = web.AppKey("upstream", str)
SESSION = web.AppKey("session", ClientSession)
TLS = web.AppKey("tls", ssl.SSLContext | bool)
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
}


async def forward(request: web.Request) -> web.StreamResponse:
    """Send the body on, and each piece of the answer back as it comes."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    body = await request.read()
    url = request.app[UPSTREAM] + request.path_qs.removeprefix("/v1")
    async with request.app[SESSION].post(url, data=body, headers=headers) as upstream:
        response = web.StreamResponse(status=upstream.status)
        for name, value in upstream.headers.items():
            if name.lower() not in HOP_BY_HOP:
                response.headers.add(name, value)
        await response.prepare(request)
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def open_session(app: web.Application) -> AsyncIterator[None]:
    """One session for the life of the process, without a limit of connections."""
    connector = TCPConnector(limit=0, ssl=app[TLS])
    async with ClientSession(connector=connector, auto_decompress=False) as session:
        app[SESSION] = session
        yield


async def serve(port: int, upstream: str, cafile: str | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    app = web.Application(client_max_size=64 << 20)
    app[UPSTREAM] = upstream.rstrip("/").removesuffix("/v1") + "/v1"
    app[TLS] = ssl.create_default_context(cafile=cafile) if cafile else True
    app.router.add_post("/v1/{tail:.*}", forward)
    app.cleanup_ctx.append(open_session)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=2048)
    await site.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--cafile")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(options.port, options.upstream, options.cafile))


if __name__ == "__main__":
    main()
