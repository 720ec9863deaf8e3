"""The overview: what happened in a range, as totals, charts and top lists; the first request while there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from dashboard.charts import Chart, Series, draw, stack
from dashboard.exports import send_table, wants_file
from dashboard.filters import format_count, format_latency, format_money, parse_time, shorten_count
from dashboard.frame import ADMIN, current_actor, render
from dashboard.ranges import RANGES, Range, read_range
from gateway_proxy.admin.overview import Overview

COLUMNS = (
    "start_at", "requests", "errors", "denied", "input_tokens", "output_tokens", "cost_usd", "p50_ms", "p95_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tile:
    """A total, and how it compares with the range before."""

    label: str
    value: str
    change: str = ""
    note: str = ""


async def show_overview(request: web.Request) -> web.StreamResponse:
    """The page, or its numbers as a file."""
    actor = current_actor(request)
    service = request.app[ADMIN].overview
    chosen = read_range(request.query, datetime.now(UTC))
    overview = await service.describe(actor, chosen.start_ms, chosen.end_ms)
    if wants_file(request):
        return await send_table(request, "overview", COLUMNS, overview.points)
    context: dict[str, Any] = {
        "range": chosen,
        "ranges": RANGES,
        "overview": overview,
        "tiles": list_tiles(overview),
        "charts": draw_charts(overview),
        "started": await service.has_requests(actor),
        "base_url": f"{request.url.origin()}{request.app[ADMIN].data_path}/v1",
        "usage_query": _usage_query(chosen),
    }
    return render(request, "overview.html", context)


def list_tiles(overview: Overview) -> list[Tile]:
    """The totals above the charts."""
    now, before = overview.totals, overview.before
    tokens, tokens_before = _tokens(now), _tokens(before)
    share = 100 * now["errors"] / now["requests"] if now["requests"] else 0
    return [
        Tile("Requests", format_count(now["requests"]), compare(now["requests"], before["requests"]),
             f"{format_count(now['denied'])} refused" if now["denied"] else "none refused"),
        Tile("Spend", format_money(now["cost_usd"]), compare(Decimal(now["cost_usd"]), Decimal(before["cost_usd"]))),
        Tile("Failed", f"{share:.1f} %" if now["requests"] else "–", note=f"{format_count(now['errors'])} of the admitted"),
        Tile("Tokens", shorten_count(tokens), compare(tokens, tokens_before),
             f"{shorten_count(now['input_tokens'])} in, {shorten_count(now['output_tokens'])} out"),
        Tile("Latency, half within", format_latency(now["p50_ms"]), compare(now["p50_ms"], before["p50_ms"])),
        Tile("Latency, 95 % within", format_latency(now["p95_ms"]), compare(now["p95_ms"], before["p95_ms"])),
    ]  # fmt: skip


def compare(now: Decimal | int | None, before: Decimal | int | None) -> str:
    """The change in words; nothing to say without a value before."""
    if not now or not before:
        return ""
    percent = round(100 * (float(now) / float(before) - 1))
    if percent == 0:
        return "as before"
    return f"{'+' if percent > 0 else '−'}{format_count(abs(percent))} %"


def draw_charts(overview: Overview) -> list[Chart]:
    """Requests, spend, tokens, latency."""
    points, step = overview.points, overview.step_seconds
    starts = [parse_time(point["start_at"]) for point in points]
    totals = overview.totals
    between = f"from {starts[0]:%d %b %Y %H:%M} UTC in steps of {describe_span(step)}" if starts else ""
    charts = [
        stack("requests", "Requests",
              f"{format_count(totals['requests'])} admitted, {format_count(totals['errors'])} of them failed, "
              f"{format_count(totals['denied'])} refused, {between}.",
              starts, step, [
                  Series("Answered", "accent", [p["requests"] - p["errors"] for p in points]),
                  Series("Failed", "bad", [p["errors"] for p in points]),
                  Series("Refused", "warn", [p["denied"] for p in points]),
              ], shorten_count),
        stack("spend", "Spend", f"{format_money(totals['cost_usd'])} in all, {between}.", starts, step,
              [Series("USD", "accent", [float(p["cost_usd"]) for p in points])], _write_money),
        stack("tokens", "Tokens",
              f"{format_count(totals['input_tokens'])} input and {format_count(totals['output_tokens'])} output tokens, {between}.",
              starts, step, [
                  Series("Input", "accent", [p["input_tokens"] for p in points]),
                  Series("Output", "second", [p["output_tokens"] for p in points]),
              ], shorten_count),
        draw("latency", "Latency",
             f"Half of the requests within {format_latency(totals['p50_ms'])}, 95 % within {format_latency(totals['p95_ms'])}, {between}.",
             starts, step, [
                 Series("Half within", "accent", [p["p50_ms"] for p in points]),
                 Series("95 % within", "second", [p["p95_ms"] for p in points]),
             ], format_latency),
    ]  # fmt: skip
    return charts


def describe_span(seconds: int) -> str:
    """A step in words: 5 minutes, 6 hours, 1 day."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{seconds // size} {name}{'' if seconds == size else 's'}"
    return f"{seconds} seconds"


def _write_money(value: float) -> str:
    return format_money(f"{value:.6f}")


def _tokens(totals: Mapping[str, Any]) -> int:
    return int(totals["input_tokens"] + totals["output_tokens"])


def _usage_query(chosen: Range) -> Sequence[tuple[str, str]]:
    return tuple(chosen.query.items())


ROUTES = [web.get("", show_overview), web.get("/", show_overview)]
