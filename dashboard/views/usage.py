"""Usage: requests, tokens and spend over any range, by what one likes; every choice stands in the address."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from aiohttp import web

from dashboard.charts import Chart, Series, stack
from dashboard.exports import send_table, wants_file
from dashboard.filters import format_money
from dashboard.frame import ADMIN, current_actor, render
from dashboard.lists import each_row, page_links, read_filters
from dashboard.plain_form import Mistakes, PlainForm, find_mistakes
from dashboard.ranges import RANGES, Range, read_range
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.usage import METADATA, UsageQuery, UsageReport

GROUPS = {
    "key": "Key", "owner": "Owner", "model": "Model", "provider": "Provider", "metadata": "Metadata field", "day": "Day",
    "hour": "Hour",
}  # fmt: skip
SUMS = (
    "requests",
    "errors",
    "denied",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "cost_usd",
    "latency_ms",
)
FIELDS = ("by", "field", "then", "key", "owner", "model", "provider")
_PAGE = 100
_DAY_SECONDS = 86_400
_MAX_HOURS = 72
_FEWEST_DAYS = 13


async def show_usage(request: web.Request) -> web.StreamResponse:
    """The page, or all groups as a file."""
    chosen = read_range(request.query, datetime.now(UTC), "30d")
    form = read_filters(request, FIELDS)
    groups = read_groups(form)
    empty: dict[str, Any] = {"data": [], "totals": None, "next_cursor": None}
    mistakes, report, charts = Mistakes(), empty, []
    try:
        query = await _read_query(request, form, chosen, groups)
        if wants_file(request):
            columns = (*(column for name in groups for column in _columns(name)), *SUMS)
            return await send_table(
                request, "usage", columns, each_row(partial(_report_page, request, query))
            )
        found = await request.app[ADMIN].usage.report(current_actor(request), query)
        report = {"data": found.data, "totals": found.totals, "next_cursor": found.next_cursor}
        charts = [await _draw_spend(request, query, chosen)]
    except Invalid as problem:
        if wants_file(request):
            raise
        mistakes = find_mistakes(problem, FIELDS)
    context = {
        "range": chosen,
        "ranges": RANGES,
        "form": form,
        "errors": mistakes,
        "choices": _choices(request),
        "groups": [(name, _label(name)) for name in groups],
        "report": report,
        "charts": charts,
        "kept": {name: text for name, text in form.texts.items() if text},
        "metadata_fields": await request.app[ADMIN].key_filter.list_metadata_fields(current_actor(request)),
        **page_links(request, report["next_cursor"]),
    }
    return render(request, "usage.html", context, status=422 if report is empty else 200)


def read_groups(form: PlainForm) -> list[str]:
    """What the address groups by, as the service names it; the key unless it says otherwise."""
    names = []
    for name in (form.text("by") or "key", form.text("then")):
        if name == "metadata":
            names.append(f"{METADATA}{form.text('field') or 'team'}")
        elif name:
            names.append(name)
    return list(dict.fromkeys(names))


async def _read_query(request: web.Request, form: PlainForm, chosen: Range, groups: list[str]) -> UsageQuery:
    key = form.text("key")
    return UsageQuery(
        start_ms=chosen.start_ms,
        end_ms=chosen.end_ms,
        group_by=groups,
        key_id=await request.app[ADMIN].key_filter.find_id(current_actor(request), key) if key else None,
        owner=form.text("owner") or None,
        model=form.text("model") or None,
        provider=form.text("provider") or None,
        limit=_PAGE,
        cursor=request.query.get("cursor"),
    )


async def _report_page(
    request: web.Request, query: UsageQuery, *, limit: int, cursor: str | None
) -> UsageReport:
    return await request.app[ADMIN].usage.report(
        current_actor(request), replace(query, limit=limit, cursor=cursor)
    )


async def _draw_spend(request: web.Request, query: UsageQuery, chosen: Range) -> Chart:
    """Spend by hour or by day, with the same filters."""
    hours = (chosen.end_ms - chosen.start_ms) / 3_600_000
    name, seconds = ("hour", 3600) if hours <= _MAX_HOURS else ("day", _DAY_SECONDS)
    whole = replace(query, group_by=(name,), limit=100_000, cursor=None)
    report = await request.app[ADMIN].usage.report(current_actor(request), whole)
    spent = {_start(row[name]): float(row["cost_usd"]) for row in report.data}
    first = _start_of(chosen.start_ms, seconds)
    if report.data and seconds == _DAY_SECONDS:
        # A range of years begins where something was used, but a few days are no range.
        last = _start_of(chosen.end_ms, seconds)
        first = max(first, min(min(spent) - timedelta(days=1), last - timedelta(days=_FEWEST_DAYS)))
    starts: list[datetime] = []
    while first.timestamp() * 1000 < chosen.end_ms and len(starts) < 400:
        starts.append(first)
        first += timedelta(seconds=seconds)
    summary = f"{format_money(report.totals['cost_usd'])} in all, by {name}."
    series = [Series("USD", "accent", [spent.get(start, 0.0) for start in starts])]
    return stack(
        "spend", f"Spend by {name}", summary, starts, seconds, series, lambda v: format_money(f"{v:.6f}")
    )


def _start(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _start_of(at: int, seconds: int) -> datetime:
    return datetime.fromtimestamp(at // 1000 // seconds * seconds, UTC)


def _columns(name: str) -> tuple[str, ...]:
    return ("key", "key_name") if name == "key" else (name,)


def _label(name: str) -> str:
    return name.removeprefix(METADATA) if name.startswith(METADATA) else GROUPS.get(name, name)


def _choices(request: web.Request) -> dict[str, str]:
    if current_actor(request).role.value == "member":
        return {name: label for name, label in GROUPS.items() if name != "owner"}
    return GROUPS


ROUTES = [web.get("/usage", show_usage)]
