"""What a gateway tells of an MCP server, for tests of the admin side."""

from typing import Any

OLD, NEW = "a" * 64, "b" * 64


def tool_facts(name: str, **members: Any) -> dict[str, Any]:
    """An approved tool."""
    return {
        "name": name,
        "title": None,
        "description": f"Does {name}.",
        "price_usd": "0.01",
        "fingerprint": OLD,
        "status": "ok",
        "definition": None,
        "approved_definition": None,
        **members,
    }


def changed_tool(name: str, status: str = "changed") -> dict[str, Any]:
    """One that waits to be approved."""
    return tool_facts(
        name,
        status=status,
        fingerprint=NEW,
        definition=f'{{"name": "{name}", "new": 1}}',
        approved_definition=f'{{"name": "{name}", "old": 1}}',
    )


def server_facts(name: str, *tools: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A server that does well."""
    return {
        "name": name,
        "transport": "auto",
        "protocol_version": "2026-07-28",
        "state": "up",
        "problem": None,
        "calls": 7,
        "failures": 0,
        "last_error": None,
        "last_error_at": None,
        "on_changed_tool": "flag",
        "prompts": 1,
        "resources": 0,
        "tools": list(tools),
        "tools_left_out": 0,
        **members,
    }


class McpFacts:
    """The part of a `GatewayView` that is about MCP: `mcp` is what is told, by server; approvals are kept."""

    def __init__(self, *servers: dict[str, Any]) -> None:
        self.mcp = {server["name"]: server for server in servers}
        self.approved: list[tuple[str, str, str]] = []

    async def mcp_servers(self) -> list[dict[str, Any]]:
        return list(self.mcp.values())

    async def changed_tool(self, server: str, tool: str) -> dict[str, str] | None:
        for told in self.mcp.get(server, {}).get("tools", []):
            if told["name"] == tool and told["status"] != "ok":
                return {"fingerprint": told["fingerprint"], "definition": '{"new":1}'}
        return None

    async def approve_tool(self, server: str, tool: str, fingerprint: str, definition: str) -> None:
        self.approved.append((server, tool, fingerprint))
        tools = self.mcp[server]["tools"]
        self.mcp[server]["tools"] = [
            tool_facts(tool, fingerprint=fingerprint) if told["name"] == tool else told for told in tools
        ]
