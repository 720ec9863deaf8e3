"""`audit`: shows a gateway's local audit log and checks that nobody touched it."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import config_option, json_option, load_settings, run_async
from gateway_proxy.cli.output import print_json, printable
from gateway_proxy.cli.refusal import Refusal

if TYPE_CHECKING:
    from gateway_proxy.audit.verify import Verdict
    from gateway_proxy.config import Config

_FOLLOW_SECONDS = 0.25


@click.command()
@config_option
@json_option
@click.option(
    "-n", "count", type=click.IntRange(1, 100_000), default=20, metavar="N", help="How many; default 20."
)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what arrives; end with Ctrl-C.")
def tail(config_path: Path | None, as_json: bool, count: int, follow: bool) -> None:
    """Show the last acts in the audit log of this gateway, newest last. With --follow, --json prints one a line."""
    from gateway_proxy.audit.read import Tail

    end = Tail(_own_folder(load_settings(config_path)))
    entries = end.last(count)
    if as_json and not follow:
        print_json({"data": entries, "next_cursor": None})
        return
    for entry in entries:
        _print_entry(entry, as_json)
    if not entries and not follow:
        print("The audit log is empty.")
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        for entry in end.news():
            _print_entry(entry, as_json)


@click.command()
@config_option
@json_option
@click.pass_context
def verify(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """Check the audit logs in data_dir: every line, their order, and that none ends before its reported head.

    Exit code 0 if they are as they were written, 1 if not.
    """
    config = load_settings(config_path)
    verdicts = run_async(_verify(config))
    if as_json:
        print_json({"ok": all(v.ok for _, v, _ in verdicts), "logs": [_object(*found) for found in verdicts]})
    for gateway_id, verdict, reported in verdicts:
        if not as_json:
            against = "its reported head" if reported else "no reported head"
            print(
                f"{gateway_id}: {'valid' if verdict.ok else 'BROKEN'}, {verdict} (checked against {against})"
            )
    if not all(verdict.ok for _, verdict, _ in verdicts):
        context.exit(1)


async def _verify(config: "Config") -> "list[tuple[str, Verdict, str]]":
    """(gateway id, verdict, reported head) of every log in data_dir, and of this gateway's own even if it is gone."""
    from gateway_proxy.audit.chain import derive_key, parse_head
    from gateway_proxy.audit.verify import verify as check

    pepper = _read_pepper(config)
    heads = await _read_heads(config)
    root = config.storage.data_dir / "audit"
    ids = {path.name for path in root.glob("gtw_*")}
    own = _own_id(config)
    if own in heads:
        ids.add(own)
    if not ids:
        raise Refusal(f"there is no audit log in {root}; it begins with the first `gateway-proxy serve`")
    return [
        (
            name,
            check(root / name, derive_key(pepper, name), parse_head(heads.get(name, ""))),
            heads.get(name, ""),
        )
        for name in sorted(ids)
    ]


async def _read_heads(config: "Config") -> dict[str, str]:
    """The reported heads by gateway; empty without a store."""
    from gateway_proxy.storage import open_store

    path = config.storage.sqlite_path
    if path is not None and not path.exists():
        return {}
    store = await open_store(config.storage.url.reveal(), create=False)
    try:
        return {head.gateway_id: head.head for head in await store.registry.list_audit_heads()}
    finally:
        await store.close()


def _read_pepper(config: "Config") -> bytes:
    try:
        return config.security.pepper.read(os.environ).reveal().encode()
    except ValueError as error:
        raise Refusal(f"the pepper: {error}; without it no line can be checked") from None


def _own_id(config: "Config") -> str:
    try:
        return (config.storage.data_dir / "gateway-id").read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def _own_folder(config: "Config") -> Path:
    """The folder of this gateway's log. Raises Refusal."""
    own = _own_id(config)
    folder = config.storage.data_dir / "audit" / own
    if not own or not folder.is_dir():
        raise Refusal(
            f"there is no audit log in {config.storage.data_dir}; it begins with the first `gateway-proxy serve`"
        )
    return folder


def _object(gateway_id: str, verdict: "Verdict", reported: str) -> dict[str, Any]:
    return {
        "gateway_id": gateway_id,
        "ok": verdict.ok,
        "entries": verdict.entries,
        "head": str(verdict.head),
        "reported_head": reported or None,
        "fault": verdict.fault or None,
        "file": str(verdict.file) if verdict.file else None,
        "line": verdict.line or None,
    }


def _print_entry(entry: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(entry, ensure_ascii=False), flush=True)
        return
    details = json.dumps(entry.get("details"), ensure_ascii=False, separators=(",", ":"))
    at = str(entry.get("at", ""))[:19].replace("T", " ")
    parts = [at, str(entry.get("action")), str(entry.get("subject") or "-"), f"by {entry.get('actor')}"]
    if entry.get("ip"):
        parts.append(f"from {entry['ip']}")
    print(printable("  ".join([*parts, details])), flush=True)
