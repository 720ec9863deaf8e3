"""Drafts: the JSON of a creation or a merge patch becomes a record, or all of its mistakes at once.

Nothing is half applied: a draft with one mistake changes nothing. A creation is a merge patch
(RFC 7396) over a key without any limit, so both obey the same rules. Whether the names in it exist
(owner, providers, models) is not judged here: scopes may name what is configured tomorrow.
"""

from dataclasses import dataclass, replace
from typing import Any

from gateway_proxy.core.key import EPHEMERAL, BudgetPeriod, Key, McpMode, McpScope
from gateway_proxy.keys.fields import (
    FieldError,
    Problems,
    Reader,
    choice_reader,
    list_reader,
    read_count,
    read_endpoint,
    read_flag,
    read_label,
    read_metadata,
    read_model,
    read_network,
    read_owner,
    read_provider,
    read_thresholds,
    read_time,
    read_timezone,
    read_usd,
    read_word,
    shown,
)
from gateway_proxy.keys.signing import MAX_TTL_SECONDS

DAY_MS = 86_400_000
EXPIRES_IN_DAYS = {"30d": 30, "60d": 60, "90d": 90, "180d": 180, "1y": 365}
DEFAULT_TTL_SECONDS = 3600


class DraftError(Exception):
    """The draft was refused; `errors` holds every mistake in it."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors

    def to_json(self) -> list[dict[str, str]]:
        """The errors as the admin API shows them."""
        return [{"path": error.path, "message": error.message} for error in self.errors]


@dataclass(frozen=True, slots=True)
class _Field:
    attribute: str
    read: Reader
    cleared: Any  # what null means


_FIELDS = {
    "requests_per_minute": _Field("requests_per_minute", read_count, None),
    "tokens_per_minute": _Field("tokens_per_minute", read_count, None),
    "burst": _Field("burst", read_count, None),
    "max_parallel_requests": _Field("max_parallel_requests", read_count, None),
    "budget_usd": _Field("budget_nanos", read_usd, None),
    "budget_period": _Field("budget_period", choice_reader(BudgetPeriod), BudgetPeriod.TOTAL),
    "budget_timezone": _Field("budget_timezone", read_timezone, "UTC"),
    "alert_thresholds": _Field("alert_thresholds", read_thresholds, ()),
    "allowed_providers": _Field("allowed_providers", list_reader(read_provider), None),
    "allowed_models": _Field("allowed_models", list_reader(read_model), None),
    "allowed_endpoints": _Field("allowed_endpoints", list_reader(read_endpoint), None),
    "ip_allowlist": _Field("ip_allowlist", list_reader(read_network), None),
    "strict": _Field("strict", read_flag, False),
    "shadow": _Field("shadow", read_flag, False),
}
_REQUIRED = {"name": read_label, "owner": read_owner}
_MCP_FIELDS = {
    "enabled": _Field("enabled", read_flag, False),
    "access_mode": _Field("access_mode", choice_reader(McpMode), McpMode.ALLOW_ALL),
    "servers": _Field("servers", list_reader(read_provider), ()),
}
_read_tools = list_reader(read_word)
_EXPIRY = ("expires_in", "expires_at")
_TOKEN = ("ephemeral", "ttl_seconds")
_SCOPES_OF_TOKEN = frozenset(
    (
        "name", "requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests", "budget_usd",
        "allowed_providers", "allowed_models", "allowed_endpoints", "ip_allowlist", "mcp",
    )
)  # fmt: skip
NARROWING = _SCOPES_OF_TOKEN | {"ttl_seconds"}
"""The members of the document that makes a token from a key."""


def apply_creation(blank: Key, document: object, now_ms: int) -> Key:
    """The new key; `blank` brings id, organization and the owner that an absent `owner` means.

    With `ephemeral` it is a token of its own, which ends after `ttl_seconds`. Raises DraftError.
    """
    problems = Problems()
    key = _apply(blank, document, now_ms, problems)
    if isinstance(document, dict):
        if "name" not in document:
            problems.add("name", "is required")
        if document.get("ephemeral") not in (None, False):
            key = _make_ephemeral(key, document, now_ms, problems)
        elif document.get("ttl_seconds") is not None:
            problems.add("ttl_seconds", "is for ephemeral tokens; send ephemeral: true, or expires_in")
    return _finish(key, problems)


def read_narrowing(document: object, blank: Key, now_ms: int) -> tuple[Key, int]:
    """What a token made from a key asks for: a key with the scopes and limits named, and `ttl_seconds`.

    What is not named is not limited here. Raises DraftError.
    """
    problems = Problems()
    asked, ttl_seconds = blank, DEFAULT_TTL_SECONDS
    if isinstance(document, dict):
        ttl_seconds = _read_ttl(document.get("ttl_seconds"), problems)
        for member in document:
            if member not in NARROWING:
                problems.add(_path(member), "is unknown")
        known = {member: value for member, value in document.items() if member in _SCOPES_OF_TOKEN}
        asked = _apply(replace(blank, mcp=McpScope(enabled=True)), known, now_ms, problems)
    else:
        problems.add("", "must be a JSON object")
    return _finish(asked, problems), ttl_seconds


def apply_patch(key: Key, document: object, now_ms: int) -> Key:
    """The key after the merge patch, its revision unchanged. Raises DraftError."""
    problems = Problems()
    if isinstance(document, dict):
        for member in _TOKEN:
            if document.get(member) not in (None, False):
                problems.add(member, "is decided when a key is made; create a token instead")
    return _finish(_apply(key, document, now_ms, problems), problems)


def read_grace_seconds(document: object, longest_seconds: int) -> int:
    """`grace_seconds` of the body of a rotation, 0 if absent. Raises DraftError."""
    problems = Problems()
    grace = 0
    if not isinstance(document, dict):
        problems.add("", "must be a JSON object")
        document = {}
    for member, value in document.items():
        if member != "grace_seconds":
            problems.add(_path(member), "is unknown")
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= longest_seconds:
            problems.add(member, f"must be a whole number of seconds between 0 and {longest_seconds}")
        else:
            grace = value
    if problems.errors:
        raise DraftError(problems.errors)
    return grace


def _finish(key: Key, problems: Problems) -> Key:
    if problems.errors:
        raise DraftError(problems.errors)
    return key


def _apply(key: Key, document: object, now_ms: int, problems: Problems) -> Key:
    if not isinstance(document, dict):
        problems.add("", "must be a JSON object")
        return key
    values: dict[str, Any] = {}
    for member, value in document.items():
        if member in _FIELDS:
            field = _FIELDS[member]
            values[field.attribute] = field.cleared if value is None else field.read(value, member, problems)
        elif member in _REQUIRED:
            values[member] = _REQUIRED[member](value, member, problems)
        elif member == "metadata":
            values[member] = read_metadata(_merged(key.metadata, value), member, problems)
        elif member == "mcp":
            values[member] = _apply_mcp(key.mcp, value, problems)
        elif member not in _EXPIRY and member not in _TOKEN:
            problems.add(_path(member), "is unknown")
    if any(member in document for member in _EXPIRY):
        values["expires_at"] = _read_expiry(key, document, now_ms, problems)
    return key if problems.errors else replace(key, **values)


def _make_ephemeral(key: Key, document: dict[str, Any], now_ms: int, problems: Problems) -> Key:
    if document["ephemeral"] is not True:
        problems.add("ephemeral", "must be true or false")
    for member in _EXPIRY:
        if document.get(member) is not None:
            problems.add(member, "cannot stand together with ephemeral; a token ends after ttl_seconds")
    ttl_seconds = _read_ttl(document.get("ttl_seconds"), problems)
    return replace(key, kind=EPHEMERAL, expires_at=(now_ms // 1000 + ttl_seconds) * 1000)


def _read_ttl(value: object, problems: Problems) -> int:
    if value is None:
        return DEFAULT_TTL_SECONDS
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TTL_SECONDS:
        problems.add("ttl_seconds", f"must be a whole number of seconds between 1 and {MAX_TTL_SECONDS}")
        return DEFAULT_TTL_SECONDS
    return value


def _read_expiry(key: Key, document: dict[str, Any], now_ms: int, problems: Problems) -> int | None:
    span, moment = document.get("expires_in"), document.get("expires_at")
    if span is not None and moment is not None:
        problems.add("expires_at", "cannot stand together with expires_in; send one of them")
    elif span is not None:
        if span == "never":
            return None
        if isinstance(span, str) and span in EXPIRES_IN_DAYS:
            return now_ms + EXPIRES_IN_DAYS[span] * DAY_MS
        choices = ", ".join(("never", *EXPIRES_IN_DAYS))
        problems.add("expires_in", f"{shown(span)} is unknown; use one of {choices}, or expires_at")
    elif moment is not None:
        at = read_time(moment, "expires_at", problems)
        # Sending back what an expired key already has is no change, hence no mistake.
        if at <= now_ms and at != key.expires_at:
            problems.add("expires_at", f"{shown(moment)} is in the past")
        return at
    return None


def _apply_mcp(scope: McpScope, patch: object, problems: Problems) -> McpScope:
    if patch is None:
        return McpScope()
    if not isinstance(patch, dict):
        problems.add("mcp", "must be a JSON object")
        return scope
    values: dict[str, Any] = {}
    for member, value in patch.items():
        if member in _MCP_FIELDS:
            field = _MCP_FIELDS[member]
            values[member] = field.cleared if value is None else field.read(value, f"mcp.{member}", problems)
        elif member == "tools":
            values[member] = _apply_tools(scope.tools, value, problems)
        else:
            problems.add(f"mcp.{_path(member)}", "is unknown")
    return replace(scope, **values)


def _apply_tools(
    tools: dict[str, tuple[str, ...]], patch: object, problems: Problems
) -> dict[str, tuple[str, ...]]:
    if patch is None:
        return {}
    if not isinstance(patch, dict):
        problems.add("mcp.tools", "must be a JSON object of lists, by server")
        return tools
    merged = dict(tools)
    for server, names in patch.items():
        path = f"mcp.tools.{_path(server)}"
        read_provider(server, path, problems)
        if names is None:
            merged.pop(server, None)
        else:
            merged[server] = _read_tools(names, path, problems)
    return merged


def _merged(current: object, patch: object, depth: int = 0) -> object:
    """RFC 7396, section 2. Beyond the depth that any field allows the patch stands as it is."""
    if patch is None and depth == 0:
        return {}
    if not isinstance(patch, dict) or depth > 40:
        return patch
    result = dict(current) if isinstance(current, dict) else {}
    for member, value in patch.items():
        if value is None:
            result.pop(member, None)
        else:
            result[member] = _merged(result.get(member), value, depth + 1)
    return result


def _path(member: object) -> str:
    text = str(member).encode("unicode_escape").decode()
    return text if len(text) <= 64 else f"{text[:64]}…"
