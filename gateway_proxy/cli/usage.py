"""`usage report`: sums from the books."""

from typing import Any

import click

from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.logs import read_span_ms
from gateway_proxy.cli.lookup import find_key
from gateway_proxy.cli.output import print_json, print_table
from gateway_proxy.cli.target import Target, open_api, target_options
from gateway_proxy.core.clock import Clock, format_time

_HEADER = ("REQUESTS", "ERRORS", "DENIED", "INPUT TOKENS", "OUTPUT TOKENS", "COST USD")
_SUMS = ("requests", "errors", "denied", "input_tokens", "output_tokens", "cost_usd")
_GROUPS = ("key", "owner", "model", "provider", "day", "hour")
_NEVER_NAMED = "(none)"
_PAGE = 10_000


@click.command()
@target_options
@json_option
@click.option(
    "--by", default="key", metavar="GROUP", help=f"{', '.join(_GROUPS)} or metadata.FIELD; default: key."
)
@click.option(
    "--since", default="30d", metavar="30d", help="Of the last 12h, 7d, …, in whole hours; default 30d."
)
@click.option("--key", metavar="ID|NAME", help="Only of this key.")
def report(target: Target, as_json: bool, by: str, since: str, key: str | None) -> None:
    """What was used and spent, in whole UTC hours."""
    span_ms = read_span_ms(since, "--since")
    if span_ms == 0:
        raise click.UsageError("--since: must be longer than 0")
    if by not in _GROUPS and (not by.startswith("metadata.") or by == "metadata."):
        raise click.UsageError(f"--by: use one of {', '.join(_GROUPS)} or metadata.FIELD")

    async def work() -> dict[str, Any]:
        async with open_api(target) as api:
            now_ms = Clock().now_ms()
            query: dict[str, Any] = {
                "group_by": by, "from": format_time(now_ms - span_ms), "to": format_time(now_ms), "limit": _PAGE,
                "key": (await find_key(api, key))["id"] if key else None,
            }  # fmt: skip
            told: dict[str, Any] = await api.send("GET", "/usage", query=query)
            while told["next_cursor"] is not None:
                more = await api.send("GET", "/usage", query=query | {"cursor": told["next_cursor"]})
                told = more | {"data": told["data"] + more["data"]}
            return told

    told = run_async(work())
    if as_json:
        print_json(told)
    elif not told["data"]:
        print("No usage.")
    else:
        rows = [_row(shown, by) for shown in told["data"]]
        print_table((by.upper(), *_HEADER), rows, right=frozenset(range(1, 7)))


def _row(shown: dict[str, Any], by: str) -> list[object]:
    label = shown[by] or ("(no key)" if by == "key" else _NEVER_NAMED)
    if by == "key" and shown["key_name"]:
        label = f"{shown['key_name']} ({label})"
    return [label, *(shown[name] for name in _SUMS)]
