"""`/mcp/servers`: what the gateway has found out about them, and the approval of changed tools."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway_proxy.admin.api.catalog import NamedListQuery
from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Cursor, Shown, Time, Usd, page_answer


class McpToolShown(Shown):
    """A tool as its server describes it."""

    name: str
    title: str | None
    description: str | None
    price_usd: Usd
    fingerprint: str = Field(description="SHA-256 of the definition.")
    status: Literal["ok", "changed", "blocked"] = Field(
        description="changed, blocked: its definition is not the one that was first seen or last approved."
    )
    definition: str | None = Field(description="What it is now, where that has changed.")
    approved_definition: str | None = Field(description="What it was, where that has changed.")


class McpServerShown(Shown):
    """An MCP server of the settings, as the gateway finds it."""

    name: str
    url: str | None = Field(description="null for a command, and for members.")
    command: list[str] | None = Field(description="null for a URL, and for members.")
    transport: Literal["auto", "http", "sse", "stdio"]
    protocol_version: str | None = Field(description="null while nothing was agreed.")
    state: Literal["up", "half_open", "down"]
    problem: str | None = Field(description="Why it cannot be asked now; null for members.")
    price_per_call_usd: Usd
    on_changed_tool: Literal["flag", "block"]
    calls: int = Field(description="Calls since the gateway started.")
    failures: int = Field(description="Calls and questions without an answer since then.")
    last_error: str | None = Field(description="null for members.")
    last_error_at: Time | None
    prompts: int
    resources: int
    tools: list[McpToolShown]
    tools_left_out: int = Field(description="How many tools more there are than are listed here.")


class McpServerListShown(Shown):
    data: list[McpServerShown]
    next_cursor: Cursor


class McpApproval(BaseModel):
    """Which definition of which tool."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tool: str = Field(min_length=1, max_length=2_000)
    fingerprint: str = Field(
        pattern="^[0-9a-f]{64}$", description="That of the definition which was looked at."
    )


async def list_mcp_servers(call: Call[NamedListQuery, None]) -> Answer:
    return page_answer(await call.admin.mcp.servers(call.actor, call.query.listing(call.query.sort)))


async def show_mcp_server(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.mcp.find(call.actor, call.ids["server"]))


async def approve_mcp_tool(call: Call[None, McpApproval]) -> Answer:
    body = call.body
    return Answer(await call.admin.mcp.approve(call.actor, call.ids["server"], body.tool, body.fingerprint))


OPERATIONS = (
    Operation(
        method="GET", path="/mcp/servers", name="listMcpServers", summary="List MCP servers and their tools",
        handler=list_mcp_servers, query=NamedListQuery, answer=McpServerListShown, asks_gateway=True,
    ),
    Operation(
        method="GET", path="/mcp/servers/{server}", name="getMcpServer", summary="Show an MCP server",
        handler=show_mcp_server, answer=McpServerShown, asks_gateway=True,
    ),
    Operation(
        method="POST", path="/mcp/servers/{server}/approve", name="approveMcpTool",
        summary="Approve a tool whose definition has changed",
        handler=approve_mcp_tool, body=McpApproval, answer=McpServerShown, conflicts=True, asks_gateway=True,
    ),
)  # fmt: skip
