"""The log of MCP calls: filtered by the address, page by page, or as a file."""

from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, render
from dashboard.lists import Search, each_row, read_filters, show_page
from dashboard.plain_form import PlainForm
from dashboard.ranges import Range, read_any_range
from gateway_proxy.admin.mcp_log import FAILURES, STATUSES, McpLogQuery
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.fields import FieldError

FIELDS = ("key", "owner", "server", "tool", "status")
COLUMNS = (
    "request_id", "at", "server", "tool", "method", "status", "rule", "error_code", "http_status", "duration_ms", "cost_usd",
    "key_id", "key_name", "key_revision", "owner", "client_ip", "gateway_id", "arguments", "result",
)  # fmt: skip
CHOICES = {"": "Any", FAILURES: "Failed and denied", "ok": "Ok", "error": "Error", "denied": "Denied"}


async def list_calls(request: web.Request) -> web.StreamResponse:
    """A page of the log, or all that fits the filters as a file."""
    form, chosen = read_filters(request, FIELDS), read_any_range(request.query, datetime.now(UTC))

    async def prepare() -> Search:
        query = await _read_query(request, form, chosen)
        return partial(request.app[ADMIN].mcp_log.search, current_actor(request), query)

    if wants_file(request):
        return await send_table(request, "mcp-calls", COLUMNS, each_row(await prepare()))
    context = await show_page(request, FIELDS, form, chosen, prepare) | {"statuses": CHOICES}
    return render(request, "logs/mcp.html", context, status=422 if context["errors"].any else 200)


async def _read_query(request: web.Request, form: PlainForm, chosen: Range) -> McpLogQuery:
    """Raises Invalid at the field that cannot be followed."""
    key, status = form.text("key"), form.text("status")
    if status not in ("", FAILURES, *STATUSES):
        raise Invalid([FieldError("status", f"is one of {', '.join((*STATUSES, FAILURES))}")])
    key_id = await request.app[ADMIN].key_filter.find_id(current_actor(request), key) if key else None
    return McpLogQuery(
        key_id=key_id,
        owner=form.text("owner") or None,
        server=form.text("server") or None,
        tool=form.text("tool") or None,
        status=status,
        start_ms=0 if chosen.name == "any" else chosen.start_ms,
        end_ms=chosen.end_ms if chosen.name == "custom" else None,
    )


ROUTES = [web.get("/logs/mcp", list_calls)]
