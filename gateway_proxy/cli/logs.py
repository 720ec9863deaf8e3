"""`logs`: the request log, newest last, and what arrives while one watches."""

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_json, printable
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.money import format_usd

if TYPE_CHECKING:
    from gateway_proxy.core.ledger import LogRow

_FOLLOW_SECONDS = 0.5
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@click.command()
@config_option
@json_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing what arrives; end with Ctrl-C.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, metavar="N", help="How many; default 50."
)
@click.option("--key", metavar="ID|NAME", help="Only of this key.")
@click.option("--model", metavar="NAME", help="Only for this model.")
@click.option("--errors", is_flag=True, help="Only refused and failed requests.")
@click.option("--since", metavar="30m", help="Only of the last 45s, 30m, 12h or 7d.")
def logs(
    config_path: Path | None,
    as_json: bool,
    follow: bool,
    limit: int,
    key: str | None,
    model: str | None,
    errors: bool,
    since: str | None,
) -> None:
    """Show what was requested, newest last. With --follow, --json prints one object a line."""
    start_ms = 0 if since is None else Clock().now_ms() - read_span_ms(since, "--since")

    async def work() -> None:
        from gateway_proxy.storage.reports import LogQuery

        async with open_local(config_path) as local:
            query = LogQuery(
                organization=local.organization,
                key_id=(await local.find_key(key)).id if key else None,
                model=model,
                errors_only=errors,
                start_ms=start_ms,
            )
            reports = local.store.reports
            # Where the end is now is asked first: what arrives meanwhile is shown twice rather than never.
            after = (await reports.follow(query)).next_cursor if follow else None
            page = await reports.logs(query, limit=limit)
            shown = {row.request_id for row in page.rows}
            if as_json and not follow:
                data = [log_object(row) for row in page.rows]
                print_json({"data": data, "next_cursor": page.next_cursor})
                return
            _print_rows(page.rows[::-1], as_json)
            if not page.rows and not follow:
                print("No requests.")
            while follow:
                news = await reports.follow(query, after=after)
                after = news.next_cursor
                _print_rows([row for row in news.rows if row.request_id not in shown], as_json)
                if not news.rows:
                    shown.clear()
                    await asyncio.sleep(_FOLLOW_SECONDS)

    run_async(work())


def read_span_ms(text: str, flag: str) -> int:
    """Milliseconds of `45s`, `30m`, `12h`, `7d`. Raises click.UsageError naming the flag."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise click.UsageError(f"{flag}: {text[:30]!r} is not a span; write for example 30m, 12h or 7d")
    return int(match[1]) * _UNITS_MS[match[2]]


def log_object(row: "LogRow") -> dict[str, Any]:
    """One request as JSON: money as a decimal string, times as RFC 3339, metadata as the object it is."""
    shown = row._asdict()
    shown["at"] = format_time(row.at)
    shown["cost_usd"] = format_usd(shown.pop("cost_nanos"))
    shown["metadata"] = json.loads(shown.pop("metadata_json") or "{}")
    return shown


def _print_rows(rows: "list[LogRow]", as_json: bool) -> None:
    for row in rows:
        if as_json:
            print(json.dumps(log_object(row), ensure_ascii=False), flush=True)
        else:
            print(printable(_line(row)), flush=True)


def _line(row: "LogRow") -> str:
    at = (format_time(row.at // 1000 * 1000) or "").replace("T", " ")
    parts = [at, str(row.status), row.key_name or "-", f"{row.method} {row.path}", row.model or "-"]
    if row.provider:
        parts.append(f"via {row.provider}")
    if row.error_code:
        parts.append(row.error_code)
    else:
        parts.append(f"{row.input_tokens}+{row.output_tokens} tokens {format_usd(row.cost_nanos)} USD")
    return "  ".join([*parts, f"{row.latency_ms} ms", row.request_id])
