"""The request log: filtered by the address, page by page, followed live, and one request with all that is known."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from dashboard.error_texts import TEXTS, explain_error
from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, CLOSING, PREFIX, current_actor, render
from dashboard.guard import HEADERS
from dashboard.json_layout import lay_out
from dashboard.lists import Search, each_row, keep_filters, read_filters, show_page
from dashboard.plain_form import PlainForm
from dashboard.ranges import Range, read_any_range
from gateway_proxy.admin.logs import LATEST, LogQuery
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.core.tasks import wait_for_event
from gateway_proxy.keys.fields import FieldError

FIELDS = ("key", "owner", "model", "provider", "status", "error", "would_deny")
COLUMNS = (
    "request_id", "at", "status", "error_code", "outcome", "key_id", "key_name", "owner", "model", "provider", "operation",
    "method", "path", "stream", "attempts", "would_deny", "input_tokens", "output_tokens", "cost_usd", "latency_ms", "first_byte_ms",
    "client_ip", "client_request_id", "trace_id", "gateway_id", "metadata",
)  # fmt: skip
ATTEMPT_COLUMNS = (
    "attempt", "kind", "provider", "model_sent", "model_reported", "outcome", "usage_source", "admitted_at", "settled_at", "period",
    "reserved_usd", "charged_usd", "usage", "rates",
)  # fmt: skip
_CODES = ("200", "400", "401", "402", "403", "404", "408", "413", "429", "500", "502", "503", "504")
STATUSES = {"": "Any", "errors": "Failed and refused", **dict(zip(_CODES, _CODES, strict=True))}
_FOLLOW_SECONDS = 1.0
_FOLLOW_ROWS = 100
_STILL_THERE_SECONDS = 15
# A page left open somewhere reconnects by itself; a connection that nobody reads ends.
_LONGEST_SECONDS = 900


async def list_requests(request: web.Request) -> web.StreamResponse:
    """A page of the log, or all that fits the filters as a file."""
    form, chosen = _read_form(request)

    async def prepare() -> Search:
        query = await _read_query(request, form, chosen)
        return partial(request.app[ADMIN].logs.search, current_actor(request), query)

    if wants_file(request):
        return await send_table(request, "requests", COLUMNS, each_row(await prepare()))
    context = await show_page(request, FIELDS, form, chosen, prepare)
    kept = keep_filters(request, FIELDS)
    context |= {
        "statuses": STATUSES,
        "codes": sorted(TEXTS),
        "live": request.query.get("live") == "1" and not context["errors"].any,
        "follow_path": str((request.rel_url / "follow").with_query(kept)),
        "live_path": str(request.rel_url.with_query([*kept, ("live", "1")])),
    }
    return render(request, "logs/list.html", context, status=422 if context["errors"].any else 200)


async def follow_requests(request: web.Request) -> web.StreamResponse:
    """What arrives, as table rows in server-sent events; `Last-Event-ID` takes up where a connection broke."""
    actor = current_actor(request)
    form, chosen = _read_form(request)
    query = await _read_query(request, form, chosen)
    logs = request.app[ADMIN].logs
    # Wrong cursors are refused while the head has not left.
    page = await logs.follow(actor, query, after=request.headers.get("Last-Event-ID") or LATEST)
    response = web.StreamResponse(headers={**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    begun = told = loop.time()
    first = True
    while loop.time() - begun < _LONGEST_SECONDS and not request.app[CLOSING].is_set():
        if page.data or first:
            await response.write(_event(request, page.data, str(page.next_cursor)))
            told, first = loop.time(), False
        elif loop.time() - told >= _STILL_THERE_SECONDS:
            await response.write(b": still there\n\n")
            told = loop.time()
        if len(page.data) < _FOLLOW_ROWS:
            await wait_for_event(request.app[CLOSING], _FOLLOW_SECONDS)
        if request.transport is None or request.transport.is_closing():
            break
        page = await logs.follow(actor, query, after=str(page.next_cursor), limit=_FOLLOW_ROWS)
    return response


async def show_request(request: web.Request) -> web.StreamResponse:
    """One request: what it was, how it ended and why, and what each attempt cost; or its rows as files."""
    found = await request.app[ADMIN].logs.find(current_actor(request), request.match_info["id"])
    if wants_file(request):
        if request.query.get("table") == "attempts":
            return await send_table(
                request, f"{found['request_id']}-attempts", ATTEMPT_COLUMNS, found["ledger"]
            )
        return await send_table(request, found["request_id"], COLUMNS, [found])
    meaning, advice = explain_error(found["error_code"], found["status"])
    attempts = [attempt | {"tokens": _count_tokens(attempt["usage"])} for attempt in found["ledger"]]
    context = {
        "row": found,
        "attempts": attempts,
        "meaning": meaning,
        "advice": advice,
        "request_body": lay_out(found["request_body"] or ""),
        "response_body": lay_out(found["response_body"] or ""),
        **_share_time(found),
    }
    return render(request, "logs/request.html", context)


def _read_form(request: web.Request) -> tuple[PlainForm, Range]:
    return read_filters(request, FIELDS), read_any_range(request.query, datetime.now(UTC))


async def _read_query(request: web.Request, form: PlainForm, chosen: Range) -> LogQuery:
    """Raises Invalid at the field that cannot be followed."""
    key, status = form.text("key"), form.text("status")
    if status not in ("", "errors") and not (status.isascii() and status.isdecimal() and len(status) == 3):
        raise Invalid([FieldError("status", "is a number such as 429, or errors")])
    key_id = await request.app[ADMIN].key_filter.find_id(current_actor(request), key) if key else None
    any_time = chosen.name == "any"
    return LogQuery(
        key_id=key_id,
        owner=form.text("owner") or None,
        model=form.text("model") or None,
        provider=form.text("provider") or None,
        status=int(status) if status.isdecimal() else None,
        errors_only=status == "errors",
        error_code=form.text("error"),
        would_deny=form.text("would_deny"),
        start_ms=0 if any_time else chosen.start_ms,
        end_ms=chosen.end_ms if chosen.name == "custom" else None,
    )


def _event(request: web.Request, rows: list[dict[str, Any]], cursor: str) -> bytes:
    html = "".join(
        aiohttp_jinja2.render_string(
            "logs/row.html", request, {"row": row, "prefix": request.app[PREFIX], "new": True}
        )
        for row in reversed(rows)
    )
    data = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"id: {cursor}\nevent: rows\n{data or 'data:' + chr(10)}\n".encode()


def _count_tokens(usage: dict[str, int]) -> list[tuple[str, int]]:
    names = {
        "input": "input", "cached_input": "cached input", "cache_write": "cache write", "cache_write_1h": "cache write, 1 h",
        "audio_input": "audio input", "output": "output", "reasoning": "reasoning", "audio_output": "audio output",
        "images": "images", "characters": "characters", "searches": "searches",
    }  # fmt: skip
    return [(label, usage[name]) for name, label in names.items() if usage.get(name)]


def _share_time(row: dict[str, Any]) -> dict[str, Any]:
    """How much of the time was waiting for the first byte, in percent."""
    first, whole = row["first_byte_ms"], row["latency_ms"]
    return {"waited": None if first is None or not whole else min(100, round(100 * first / whole, 2))}


ROUTES = [
    web.get("/logs", list_requests),
    web.get("/logs/follow", follow_requests),
    web.get("/logs/{id}", show_request),
]
