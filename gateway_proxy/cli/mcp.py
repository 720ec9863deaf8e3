"""`mcp`: MCP servers as a running gateway has them, the approval of changed tools, and the MCP log."""

from typing import Any
from urllib.parse import quote

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import PAGE, find_key, list_all
from gateway_proxy.cli.output import print_json, print_table, printable, short_time
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.target import Target, open_api, target_options

_SERVERS = ("NAME", "STATE", "PROTOCOL", "TOOLS", "TO APPROVE", "CALLS", "FAILURES", "LAST ERROR")
_TOOLS = ("TOOL", "STATUS", "PRICE USD", "TITLE")


def _need_gateway(target: Target) -> None:
    """Servers are asked by the gateway: the store knows what is approved of them and no more. Raises Refusal."""
    if not target.url:
        raise Refusal(
            "only a running gateway knows its MCP servers: name it with --url, and an admin token with --token"
        )


@click.command()
@click.argument("server", required=False)
@target_options
@json_option
def servers(server: str | None, target: Target, as_json: bool) -> None:
    """List MCP servers, or one server's tools, as the gateway at --url has them."""
    _need_gateway(target)

    async def work() -> Any:
        async with open_api(target) as api:
            if server is None:
                return await list_all(api, "/mcp/servers")
            return await api.send("GET", f"/mcp/servers/{quote(server, safe='')}")

    shown = run_async(work())
    if as_json:
        print_json(shown if server is not None else {"data": shown, "next_cursor": None})
    elif server is not None:
        rows = [(t["name"], t["status"], t["price_usd"], t["title"] or "") for t in shown["tools"]]
        print_table(_TOOLS, rows, right=frozenset((2,)))
    elif not shown:
        print("No MCP servers.")
    else:
        print_table(_SERVERS, [_describe(one) for one in shown], right=frozenset((3, 4, 5, 6)))


def _describe(server: dict[str, Any]) -> tuple[object, ...]:
    waiting = sum(tool["status"] != "ok" for tool in server["tools"])
    return (
        server["name"], server["state"], server["protocol_version"] or "-",
        len(server["tools"]) + server["tools_left_out"], waiting, server["calls"], server["failures"],
        server["problem"] or server["last_error"] or "",
    )  # fmt: skip


@click.command()
@click.argument("server")
@click.argument("tool")
@target_options
@json_option
def approve(server: str, tool: str, target: Target, as_json: bool) -> None:
    """Take a changed tool of a server for what it is now, at the gateway at --url."""
    _need_gateway(target)

    async def work() -> dict[str, Any]:
        path = f"/mcp/servers/{quote(server, safe='')}"
        async with open_api(target) as api:
            found = next((t for t in (await api.send("GET", path))["tools"] if t["name"] == tool), None)
            if found is None or found["status"] == "ok":
                raise Refusal(f"no tool {tool!r} waits to be approved at {server}")
            document = {"tool": tool, "fingerprint": found["fingerprint"]}
            shown: dict[str, Any] = await api.send("POST", f"{path}/approve", document)
            return shown

    shown = run_async(work())
    if as_json:
        print_json(shown)
    else:
        print(f"Approved {tool} of {server} as it is now.")


@click.command()
@target_options
@json_option
@click.option("--limit", type=click.IntRange(1, PAGE), default=50, metavar="N", help="How many; default 50.")
@click.option("--key", metavar="ID|NAME", help="Only of this key.")
@click.option("--server", metavar="NAME", help="Only at this server.")
@click.option("--tool", metavar="NAME", help="Only of this tool.")
@click.option("--failures", is_flag=True, help="Only what was refused or failed.")
def logs(
    target: Target,
    as_json: bool,
    limit: int,
    key: str | None,
    server: str | None,
    tool: str | None,
    failures: bool,
) -> None:
    """Show what was called at MCP servers, newest last."""

    async def work() -> dict[str, Any]:
        async with open_api(target) as api:
            query = {
                "key": (await find_key(api, key))["id"] if key else None,
                "server": server,
                "tool": tool,
                "status": "failures" if failures else None,
                "limit": limit,
            }
            page: dict[str, Any] = await api.send("GET", "/mcp/logs", query=query)
            return page

    page = run_async(work())
    if as_json:
        print_json(page)
    elif not page["data"]:
        print("No MCP calls.")
    else:
        for row in reversed(page["data"]):
            print(printable(_line(row)))


def _line(row: dict[str, Any]) -> str:
    parts = [
        short_time(row["at"]), row["status"], row["key_name"] or "-", row["method"], row["server"] or "-",
        row["tool"] or "-", f"by {row['rule']}", f"{row['cost_usd']} USD", f"{row['duration_ms']} ms", row["request_id"],
    ]  # fmt: skip
    return "  ".join(parts)
