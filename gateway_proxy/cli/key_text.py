"""How keys look on a terminal: the list, the details, the one-time secret; and the same as JSON objects."""

from collections.abc import Sequence
from typing import Any

from gateway_proxy.cli.output import limit, print_fields, print_json, print_table, short_time

ONE_TIME_SENTENCE = "This key will not be shown again. Make sure to save it securely."
_HEADER = (
    "ID",
    "NAME",
    "OWNER",
    "KEY",
    "STATUS",
    "EXPIRES",
    "LAST USED",
    "CREATED",
    "REQUESTS",
    "USAGE",
    "SPENT USD",
)


def print_keys(objects: Sequence[dict[str, Any]]) -> None:
    """The list."""
    if not objects:
        print("No keys.")
        return
    rows = [
        (
            shown["id"],
            _clipped(shown["name"], 40),
            _clipped(shown["owner"], 40),
            shown["preview"],
            shown["status"],
            short_time(shown["expires_at"], "never"),
            short_time(shown["last_used_at"], "never"),
            short_time(shown["created_at"]),
            shown["requests"],
            f"{shown['usage_percent']:.1f}%",
            shown["spent_usd"],
        )
        for shown in objects
    ]
    print_table(_HEADER, rows, right=frozenset((8, 9, 10)))


def print_key(shown: dict[str, Any]) -> None:
    """All there is to know of one key."""
    budget = "no limit"
    if shown["budget_usd"] is not None:
        budget = f"{shown['budget_usd']} USD, {shown['budget_period']}, {shown['budget_timezone']}"
    mcp = shown["mcp"]
    print_fields(
        [
            ("id", shown["id"]),
            ("kind", shown["kind"] + (f" of {shown['parent_id']}" if shown["parent_id"] else "")),
            ("name", shown["name"]),
            ("owner", shown["owner"]),
            ("organization", shown["organization"]),
            ("key", shown["preview"]),
            ("status", shown["status"]),
            ("expires", shown["expires_at"] or "never"),
            ("created", shown["created_at"]),
            ("last used", shown["last_used_at"] or "never"),
            ("requests", f"{shown['requests']} ({shown['usage_percent']:.1f}% of all)"),
            ("spent", f"{shown['spent_usd']} USD (reserved {shown['reserved_usd']})"),
            ("budget", budget),
            ("alerts", ", ".join(f"{percent}%" for percent in shown["alert_thresholds"]) or "-"),
            ("requests/min", limit(shown["requests_per_minute"])),
            ("tokens/min", limit(shown["tokens_per_minute"])),
            ("burst", "as the limits" if shown["burst"] is None else shown["burst"]),
            ("parallel", limit(shown["max_parallel_requests"])),
            ("providers", limit(shown["allowed_providers"])),
            ("models", limit(shown["allowed_models"])),
            ("endpoints", limit(shown["allowed_endpoints"])),
            ("addresses", limit(shown["ip_allowlist"])),
            ("mcp", _describe_mcp(mcp) if mcp["enabled"] else "off"),
            ("strict", "yes" if shown["strict"] else "no"),
            ("shadow", "yes: its rules refuse nothing" if shown["shadow"] else "no"),
            ("metadata", shown["metadata"] or "-"),
            ("revision", shown["revision"]),
        ]
    )


def print_secret(shown: dict[str, Any], secret: str, done: str, as_json: bool) -> None:
    """The secret, this once, and the sentence that says so."""
    if as_json:
        print_json({"key": shown, "secret": secret})
        return
    print(f"{done} key {shown['name']} ({shown['id']})\n\n    {secret}\n\n{ONE_TIME_SENTENCE}")
    print(live_sentence(shown))


def print_token(parent: dict[str, Any], made: dict[str, Any], as_json: bool) -> None:
    """An ephemeral token of a key, this once."""
    if as_json:
        print_json(made)
        return
    print(
        f"Made token {made['id']} of key {parent['name']} ({parent['id']}); it expires at {made['expires_at']}"
    )
    print(f"\n    {made['token']}\n\n{ONE_TIME_SENTENCE}")


def live_sentence(shown: dict[str, Any]) -> str:
    """Where a change holds already."""
    gateways, acked = shown["live_on"]["gateways"], shown["live_on"]["acked"]
    if not gateways:
        return "No gateway is attached now; the next one to start will know it."
    if acked == gateways:
        return f"Live on {'the attached gateway' if gateways == 1 else f'all {gateways} attached gateways'}."
    return f"Live on {acked} of {gateways} attached gateways so far; the others follow when they reach the store."


def _describe_mcp(mcp: dict[str, Any]) -> str:
    parts = [mcp["access_mode"]]
    if mcp["servers"]:
        parts.append(", ".join(mcp["servers"]))
    parts += [f"{server}: {limit(tools)}" for server, tools in mcp["tools"].items()]
    return "; ".join(parts)


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
