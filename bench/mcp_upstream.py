"""An MCP server of revision 2026-07-28 that does next to nothing: `python -m bench.mcp_upstream [PORT]` prints its URL.

Its tool `wait` never answers.
"""

import asyncio
import sys

import orjson
from aiohttp import web

_LISTS = {
    "tools/list": ("tools", [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "wait")]),
    "prompts/list": ("prompts", []),
    "resources/list": ("resources", []),
    "resources/templates/list": ("resourceTemplates", []),
}


async def answer(request: web.Request) -> web.Response:
    """The result of any request."""
    value = orjson.loads(await request.read())
    result = {"resultType": "complete", "ttlMs": 0, "cacheScope": "public"}
    if value["method"] == "server/discover":
        result |= {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
    elif value["method"] in _LISTS:
        member, items = _LISTS[value["method"]]
        result[member] = items
    elif value["params"]["name"] == "wait":
        await asyncio.Event().wait()
    else:
        result["content"] = [{"type": "text", "text": str(value["params"].get("arguments"))}]
    body = orjson.dumps({"jsonrpc": "2.0", "id": value["id"], "result": result})
    return web.Response(body=body, content_type="application/json")


async def main(port: int) -> None:
    """Serve until standard input ends."""
    app = web.Application()
    app.router.add_post("/mcp", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/mcp", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
