"""The log of MCP calls: filtered by the address, page by page, or as a file."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, PREFIX, current_actor, render
from dashboard.plain_form import Mistakes, PlainForm, find_mistakes
from dashboard.ranges import RANGES, Range, read_range
from gateway_proxy.admin.mcp_log import FAILURES, STATUSES, McpLogQuery
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.fields import FieldError

FIELDS = ("key", "owner", "server", "tool", "status")
COLUMNS = (
    "request_id", "at", "server", "tool", "method", "status", "rule", "error_code", "http_status", "duration_ms", "cost_usd",
    "key_id", "key_name", "key_revision", "owner", "client_ip", "gateway_id", "arguments", "result",
)  # fmt: skip
ANY_TIME = {"any": "Any time", **RANGES}
_PAGE = 50
_FILE_PAGE = 1000


async def list_calls(request: web.Request) -> web.StreamResponse:
    """A page of the log, or all that fits the filters as a file."""
    actor = current_actor(request)
    form, chosen = _read_filters(request)
    rows: list[dict[str, Any]] = []
    next_cursor, mistakes = None, Mistakes()
    try:
        query = await _read_query(request, form, chosen)
        if wants_file(request):
            return await send_table(request, "mcp-calls", COLUMNS, _each_call(request, query))
        page = await request.app[ADMIN].mcp_log.search(
            actor, query, limit=_PAGE, cursor=request.query.get("cursor")
        )
        rows, next_cursor = page.data, page.next_cursor
    except Invalid as problem:
        if wants_file(request):
            raise
        mistakes = find_mistakes(problem, FIELDS)
    known = {*FIELDS, "range", "from", "to"}
    kept = [(name, value) for name, value in request.query.items() if name in known and value]
    context = {
        "rows": rows,
        "form": form,
        "errors": mistakes,
        "range": chosen,
        "ranges": ANY_TIME,
        "statuses": {FAILURES: "Failed and denied", "ok": "Ok", "error": "Error", "denied": "Denied"},
        "file_path": _with(request, kept),
        "next_path": _with(request, [*kept, ("cursor", next_cursor)]) if next_cursor else "",
        "first_path": _with(request, kept) if "cursor" in request.query else "",
        "filtered": any(form.texts.values()) or chosen.name != "any",
    }
    return render(request, "logs/mcp.html", context, status=422 if mistakes.any else 200)


def _read_filters(request: web.Request) -> tuple[PlainForm, Range]:
    form = PlainForm({name: request.query.get(name, "").strip() for name in FIELDS})
    now = datetime.now(UTC)
    if request.query.get("range", "any") == "any":
        return form, Range("any", 0, int(now.timestamp() * 1000))
    return form, read_range(request.query, now)


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


async def _each_call(request: web.Request, query: McpLogQuery) -> AsyncIterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = await request.app[ADMIN].mcp_log.search(
            current_actor(request), query, limit=_FILE_PAGE, cursor=cursor
        )
        for row in page.data:
            yield row
        if (cursor := page.next_cursor) is None:
            return


def _with(request: web.Request, query: list[tuple[str, str]]) -> str:
    return str(request.url.relative().with_path(request.app[PREFIX] + "/logs/mcp").with_query(query))


ROUTES = [web.get("/logs/mcp", list_calls)]
