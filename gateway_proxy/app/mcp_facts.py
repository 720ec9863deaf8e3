"""What the admin side is told of an MCP server: how it is reached and does, and what it offers. No secret is among it.

Promises an answer of bounded size, whatever a server says of itself.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway_proxy.config.mcp import McpServer
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.money import format_usd, to_nanos
from gateway_proxy.mcp.catalogue import Offer
from gateway_proxy.mcp.definitions import MAX_DEFINITION_BYTES, Definitions, take_fingerprint
from gateway_proxy.proxy.mcp.health import ServerHealth
from gateway_proxy.proxy.mcp.link import Peer

MAX_TOOLS = 2_000
MAX_TEXT = 2_000


def describe_server(
    server: McpServer, offer: Offer, peer: Peer | None, health: ServerHealth, definitions: Definitions
) -> dict[str, Any]:
    """One server as JSON."""
    tools = {**offer.things("tools"), **{name: dict(one.definition) for name, one in offer.changed.items()}}
    names = sorted(tools)[:MAX_TOOLS]
    return {
        "name": server.name,
        "transport": "stdio" if server.command else server.transport,
        "protocol_version": None if peer is None else peer.version,
        "state": health.state,
        "problem": _cut(offer.problem) or None,
        "calls": health.calls,
        "failures": health.failures,
        "last_error": _cut(health.last_error) or None,
        "last_error_at": format_time(health.last_error_at),
        "on_changed_tool": server.on_changed_tool,
        "prompts": len(offer.things("prompts")),
        "resources": len(offer.things("resources")) + len(offer.things("resourceTemplates")),
        "tools": [_describe_tool(server, name, tools[name], offer, definitions) for name in names],
        "tools_left_out": len(tools) - len(names),
    }


def _describe_tool(
    server: McpServer, name: str, tool: Mapping[str, Any], offer: Offer, definitions: Definitions
) -> dict[str, Any]:
    changed = offer.changed.get(name)
    approved = definitions.find(server.name, name)
    price = server.tool_prices.get(name, server.price_per_call)
    known = changed or approved  # an approved one is what it was: its fingerprint need not be taken again
    return {
        "name": _cut(name),
        "title": _cut(_title(tool)) or None,
        "description": _cut(tool.get("description")) or None,
        "price_usd": format_usd(to_nanos(price)),
        "fingerprint": take_fingerprint(tool) if known is None else known.fingerprint,
        "status": "ok" if changed is None else "blocked" if changed.blocked else "changed",
        "definition": None if changed is None else _pretty(tool),
        "approved_definition": None
        if changed is None or approved is None
        else _pretty_text(approved.definition),
    }


def _title(tool: Mapping[str, Any]) -> object:
    annotations = tool.get("annotations")
    told = tool.get("title")
    return told if told or not isinstance(annotations, Mapping) else annotations.get("title")


def _cut(text: object) -> str:
    return text[:MAX_TEXT] if isinstance(text, str) else ""


def _pretty(tool: Mapping[str, Any]) -> str:
    told = {name: value for name, value in tool.items() if name != "_meta"}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()[
        :MAX_DEFINITION_BYTES
    ]


def _pretty_text(definition: str) -> str | None:
    return _pretty(orjson.loads(definition)) if definition else None
