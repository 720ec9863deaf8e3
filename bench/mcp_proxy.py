"""FastMCP's proxy in front of an MCP server: `python bench/mcp_proxy.py URL` prints its own URL, and serves until it is stopped.

Runs in the virtual environment of requirements/mcp-proxy.txt, so it imports nothing of ours. One client session serves all
calls, stateless and answered as JSON: the fastest that it can be set to.
"""

import asyncio
import socket
import sys

from fastmcp import Client  # type: ignore[import-not-found]
from fastmcp.server import create_proxy  # type: ignore[import-not-found]


async def main(upstream: str) -> None:
    """Serve on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with Client(upstream) as client:
        proxy = create_proxy(client, name="proxy")
        print(f"http://127.0.0.1:{port}/mcp", flush=True)
        await proxy.run_http_async(
            transport="http",
            host="127.0.0.1",
            port=port,
            stateless_http=True,
            json_response=True,
            show_banner=False,
            log_level="warning",
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
