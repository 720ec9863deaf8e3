"""The official SDK on both sides: a real server over Streamable HTTP in a thread, and clients through a gateway."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import uvicorn
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import Context, MCPServer
from starlette.types import ASGIApp


def make_server() -> MCPServer:
    """Tools, a prompt and a resource, as the SDK's users write them."""
    server = MCPServer("sdk")

    @server.tool()
    def add(a: int, b: int) -> int:
        """The sum."""
        return a + b

    @server.tool()
    def break_down() -> str:
        """Fails."""
        raise ValueError("it broke")

    @server.tool()
    async def count(to: int, ctx: Context) -> str:
        """Reports how far it is."""
        for number in range(to):
            await ctx.report_progress(number + 1, to)
        return "counted"

    @server.prompt()
    def greet(name: str) -> str:
        """A greeting."""
        return f"Greet {name}."

    @server.resource("test://motto")
    def motto() -> str:
        """A motto."""
        return "less is more"

    return server


@contextlib.contextmanager
def serve_app(app: ASGIApp) -> Iterator[str]:
    """The application on a free port of this machine; its origin."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextlib.asynccontextmanager
async def open_client(url: str, secret: str, mode: str, **members: Any) -> AsyncIterator[Client]:
    """`mode`: legacy, auto or 2026-07-28."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=10) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode, **members) as client:
            yield client


if __name__ == "__main__":
    make_server().run("stdio")
