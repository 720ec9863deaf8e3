"""`logs`: the request log, newest last, and what arrives while one watches."""

import asyncio
import json
import re
from typing import Any
from urllib.parse import quote

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import PAGE, find_key
from gateway_proxy.cli.output import print_fields, print_json, printable
from gateway_proxy.cli.target import AdminApi, Target, open_api, target_options
from gateway_proxy.core.clock import Clock, format_time

_FOLLOW_SECONDS = 0.5
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@click.command()
@target_options
@json_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing what arrives; end with Ctrl-C.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, metavar="N", help="How many; default 50."
)
@click.option("--key", metavar="ID|NAME", help="Only of this key.")
@click.option("--model", metavar="NAME", help="Only for this model.")
@click.option("--errors", is_flag=True, help="Only refused and failed requests.")
@click.option(
    "--would-deny", metavar="CODE", help="Only what a shadowed key would have been refused; any = all of it."
)
@click.option("--since", metavar="30m", help="Only of the last 45s, 30m, 12h or 7d.")
@click.option(
    "--request",
    "request_id",
    metavar="ID",
    help="One request with its attempts, rules and, where kept, bodies.",
)
def logs(
    target: Target,
    as_json: bool,
    follow: bool,
    limit: int,
    key: str | None,
    model: str | None,
    errors: bool,
    would_deny: str | None,
    since: str | None,
    request_id: str | None,
) -> None:
    """Show what was requested, newest last. With --follow, --json prints one object a line."""
    start_ms = None if since is None else Clock().now_ms() - read_span_ms(since, "--since")

    async def work() -> None:
        async with open_api(target) as api:
            if request_id is not None:
                _print_request(await api.send("GET", f"/logs/{quote(request_id, safe='')}"), as_json)
                return
            query = {
                "key": (await find_key(api, key))["id"] if key else None,
                "model": model,
                "errors": errors,
                "would_deny": would_deny,
                "from": format_time(start_ms),
            }
            # Where the end is now is asked first: what arrives meanwhile is shown twice rather than never.
            after = (await _read(api, query, after="latest"))["next_cursor"] if follow else None
            rows, next_cursor = await _read_newest(api, query, limit)
            if as_json and not follow:
                print_json({"data": rows, "next_cursor": next_cursor})
                return
            _print_rows(rows[::-1], as_json)
            if follow:
                await _follow(api, query, after, {row["request_id"] for row in rows}, as_json)
            elif not rows:
                print("No requests.")

    run_async(work())


async def _read_newest(
    api: AdminApi, query: dict[str, Any], limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await _read(api, query, limit=min(limit - len(rows), PAGE), cursor=cursor)
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None or len(rows) >= limit:
            return rows, cursor


async def _follow(
    api: AdminApi, query: dict[str, Any], after: str | None, shown: set[str], as_json: bool
) -> None:
    while True:
        news = await _read(api, query, after=after)
        after = news["next_cursor"]
        _print_rows([row for row in news["data"] if row["request_id"] not in shown], as_json)
        if not news["data"]:
            shown.clear()
            await asyncio.sleep(_FOLLOW_SECONDS)


async def _read(api: AdminApi, query: dict[str, Any], **more: object) -> dict[str, Any]:
    page: dict[str, Any] = await api.send("GET", "/logs", query=query | more)
    return page


def read_span_ms(text: str, flag: str) -> int:
    """Milliseconds of `45s`, `30m`, `12h`, `7d`. Raises click.UsageError naming the flag."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise click.UsageError(f"{flag}: {text[:30]!r} is not a span; write for example 30m, 12h or 7d")
    return int(match[1]) * _UNITS_MS[match[2]]


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    for row in rows:
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            print(printable(_line(row)), flush=True)


def _print_request(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    print(printable(_line(row)))
    print_fields(
        [
            (
                f"attempt {attempt['attempt']}",
                f"{attempt['provider']} {attempt['model_sent']} {attempt['outcome']} {attempt['charged_usd']} USD",
            )
            for attempt in row["ledger"]
        ]
        + [(verdict["rule"], f"{verdict['verdict']} {verdict['detail']}") for verdict in row["verdicts"]]
    )
    for name in ("request_body", "response_body"):
        if row[name] is not None:
            lines = [printable(line) for line in row[name].split("\n")]
            print("\n".join(["", name.replace("_", " "), *lines]))
    if row["bodies"] == "hidden":
        print("\nBodies are kept; owners, admins and the key's owner may read them.")


def _line(row: dict[str, Any]) -> str:
    at = row["at"][:19].replace("T", " ") + "Z"
    parts = [
        at,
        str(row["status"]),
        row["key_name"] or "-",
        f"{row['method']} {row['path']}",
        row["model"] or "-",
    ]
    if row["provider"]:
        parts.append(f"via {row['provider']}")
    if row["error_code"]:
        parts.append(row["error_code"])
    if row["would_deny"]:
        parts.append(f"would deny: {row['would_deny']}")
    else:
        parts.append(f"{row['input_tokens']}+{row['output_tokens']} tokens {row['cost_usd']} USD")
    return "  ".join([*parts, f"{row['latency_ms']} ms", row["request_id"]])
