"""`/mcp/logs`: what was called at MCP servers, and what was refused."""

from typing import Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import MAX_PAGE, Asked, AskedTime, Cursor, Shown, Time, Usd, page_answer
from gateway_proxy.admin.mcp_log import McpLogQuery


class McpLogListQuery(Asked):
    from_: AskedTime | None = Field(None, alias="from", description="Begun at or after this time.")
    to: AskedTime | None = Field(None, description="Begun before this time.")
    key: str | None = Field(None, max_length=200, description="A key's id.")
    owner: str | None = Field(None, max_length=320)
    server: str | None = Field(None, max_length=128)
    tool: str | None = Field(None, max_length=512, description="The server's own name of it.")
    method: str | None = Field(None, max_length=64, description="For example `tools/call`.")
    status: Literal["", "ok", "error", "denied", "failures"] = Field(
        "", description="`failures`: whatever is not `ok`."
    )
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class McpLogShown(Shown):
    """One message to an MCP server, with the key's name, owner and revision as they were."""

    request_id: str
    at: Time
    gateway_id: str
    organization: str
    key_id: str
    key_name: str
    key_revision: int
    owner: str
    method: str
    server: str = Field(description="Empty where none could be told.")
    tool: str = Field(description="Or the name of a prompt, the URI of a resource.")
    status: Literal["ok", "error", "denied"]
    rule: str = Field(
        description="What decided: an access mode, `tools`, the error code of a limit, `unknown` where nothing of the name exists."
    )
    error_code: str
    http_status: int
    duration_ms: int
    cost_usd: Usd
    client_ip: str
    arguments: str | None = Field(
        description="Redacted JSON; null unless the settings keep bodies; for owners, admins and the key's owner."
    )
    result: str | None = Field(
        description="Redacted JSON; null unless the settings keep bodies; for owners, admins and the key's owner."
    )


class McpLogListShown(Shown):
    data: list[McpLogShown]
    next_cursor: Cursor


async def list_mcp_logs(call: Call[McpLogListQuery, None]) -> Answer:
    asked = call.query
    query = McpLogQuery(
        owner=asked.owner, key_id=asked.key, server=asked.server, tool=asked.tool, method=asked.method,
        status=asked.status, start_ms=asked.from_ or 0, end_ms=asked.to,
    )  # fmt: skip
    page = await call.admin.mcp_log.search(call.actor, query, limit=asked.limit, cursor=asked.cursor)
    return page_answer(page)


OPERATIONS = (
    Operation(
        method="GET", path="/mcp/logs", name="listMcpLogs", summary="List MCP calls, the newest first",
        handler=list_mcp_logs, query=McpLogListQuery, answer=McpLogListShown,
    ),
)  # fmt: skip
