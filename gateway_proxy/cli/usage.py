"""`usage report`: sums from the books."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import Local, config_option, json_option, open_local, run_async
from gateway_proxy.cli.logs import read_span_ms
from gateway_proxy.cli.output import print_json, print_table
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.money import format_usd

if TYPE_CHECKING:
    from gateway_proxy.storage.reports import UsageRow

_HEADER = ("REQUESTS", "ERRORS", "DENIED", "INPUT TOKENS", "OUTPUT TOKENS", "COST USD")
_NEVER_NAMED = "(no key)"


@click.command()
@config_option
@json_option
@click.option(
    "--by",
    type=click.Choice(["key", "owner", "model", "provider", "day"]),
    default="key",
    help="Default: key.",
)
@click.option(
    "--since", default="30d", metavar="30d", help="Of the last 12h, 7d, …, in whole hours; default 30d."
)
@click.option("--key", metavar="ID|NAME", help="Only of this key.")
def report(config_path: Path | None, as_json: bool, by: Any, since: str, key: str | None) -> None:
    """What was used and spent, in whole UTC hours."""
    span_ms = read_span_ms(since, "--since")

    async def work() -> list[dict[str, Any]]:
        async with open_local(config_path) as local:
            now_ms = Clock().now_ms()
            key_id = (await local.find_key(key)).id if key else None
            rows = await local.store.reports.usage(
                [by], now_ms - span_ms, now_ms, organization=local.organization, key_id=key_id
            )
            names = await _name_keys(local, [row.group[0] for row in rows]) if by == "key" else {}
            return [usage_object(by, row, names) for row in rows]

    objects = run_async(work())
    if as_json:
        print_json({"data": objects, "next_cursor": None})
    elif not objects:
        print("No usage.")
    else:
        rows = [_row(shown, by) for shown in sorted(objects, key=lambda o: _order(o, by))]
        print_table((by.upper(), *_HEADER), rows, right=frozenset(range(1, 7)))


def usage_object(by: str, row: "UsageRow", names: dict[str, str]) -> dict[str, Any]:
    """One group as JSON; a key has its name beside it."""
    shown: dict[str, Any] = {by: row.group[0]}
    if by == "key":
        shown["key_name"] = names.get(row.group[0], "")
    return shown | {
        "requests": row.requests,
        "errors": row.errors,
        "denied": row.denied,
        "input_tokens": row.input_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": format_usd(row.cost_nanos),
    }


def _order(shown: dict[str, Any], by: str) -> tuple[Any, ...]:
    """Days in order, everything else by what it cost, the dearest first."""
    if by == "day":
        return (shown["day"],)
    whole, _, rest = shown["cost_usd"].partition(".")
    return (-int(whole), -int(rest.ljust(9, "0")), -shown["requests"])


def _row(shown: dict[str, Any], by: str) -> list[object]:
    label = shown[by] or _NEVER_NAMED
    if by == "key" and shown["key_name"]:
        label = f"{shown['key_name']} ({label})"
    columns = ("requests", "errors", "denied", "input_tokens", "output_tokens", "cost_usd")
    return [label, *(shown[column] for column in columns)]


async def _name_keys(local: Local, key_ids: list[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for key_id in filter(None, key_ids):
        key = await local.store.keys.find(key_id)
        if key is not None:
            names[key_id] = key.name
    gone = [key_id for key_id in key_ids if key_id and key_id not in names]
    for start in range(0, len(gone), 500):
        for tombstone in (await local.store.keys.find_deleted(gone[start : start + 500])).values():
            names[tombstone.id] = f"{tombstone.name}, deleted"
    return names
