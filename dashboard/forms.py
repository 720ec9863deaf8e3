"""The form of a key: fields → the JSON document of POST or PATCH /api/v1/keys plus field errors, and back. No I/O.

What a value must look like is judged by the drafts of `gateway_proxy.keys`, whose words stand beside the fields; here
is only what a form has and a document has not: texts to be parsed, toggles that are all on or all off. An edit sends
what was changed and nothing else, so whatever the form cannot show stays as it is.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from gateway_proxy.core.key import Key
from gateway_proxy.keys.draft import EXPIRES_IN_DAYS, DraftError, apply_creation
from gateway_proxy.keys.fields import ENDPOINTS, FieldError

KEEP = "keep"  # the expiration stays
NONE_WORD = "none"  # typed into a list: allows nothing, as on the command line
EXPIRATIONS = ("never", *EXPIRES_IN_DAYS)
DEFAULT_TTL_SECONDS = 3600
DEFAULT_THRESHOLDS = (50, 80, 100)
LISTED_MODES = ("allow_list", "deny_list")
ALL_OFF = "Turn on at least one. To stop the key altogether, deactivate it."
_MORE_TOOLS = "mcp_tools_more:"
_GROUPED = re.compile(r"\d{1,3}([ ,_]\d{3})+", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


class Posted(Protocol):
    """The part of a multi-dict that is needed: all values of a field, and the names of all fields."""

    def getall(self, name: str, default: list[Any], /) -> Sequence[Any]: ...

    def keys(self) -> Iterable[str]: ...


@dataclass(frozen=True, slots=True)
class KeyForm:
    """What stands in the fields, as typed. `chosen` holds what is ticked, by group."""

    texts: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.texts.get(name, "")

    def ticked(self, group: str) -> tuple[str, ...]:
        return self.chosen.get(group, ())

    def more_tools(self, server: str) -> str:
        """Tool names typed for a server, beside those to tick."""
        return self.texts.get(_MORE_TOOLS + server, "")


def blank_form(providers: Sequence[str], owner: str = "") -> KeyForm:
    """The form as it opens for a new key: no limit anywhere."""
    return KeyForm(
        {
            "owner": owner,
            "expires": "never",
            "alert_thresholds": ", ".join(map(str, DEFAULT_THRESHOLDS)),
            "ttl_seconds": str(DEFAULT_TTL_SECONDS),
            "budget_period": "total",
            "budget_timezone": "UTC",
            "mcp_mode": "allow_all",
        },
        {"providers": tuple(providers), "providers_offered": tuple(providers), "endpoints": ENDPOINTS},
    )


def read_form(posted: Posted) -> KeyForm:
    """The form as it was sent; files and fields that it does not have are passed over."""
    texts, chosen = {}, {}
    for name in dict.fromkeys(posted.keys()):
        values = [value for value in posted.getall(name, []) if isinstance(value, str)]
        if name in _GROUP_NAMES:
            chosen[name] = tuple(dict.fromkeys(values))
        elif values:
            texts[name] = values[0].replace("\r\n", "\n")
    return KeyForm(texts, chosen)


def form_of(key: Mapping[str, Any], providers: Sequence[str]) -> KeyForm:
    """The form of a key object; `providers` are the toggles that it shows, to which the key's own are added."""
    mcp = key["mcp"]
    allowed = key["allowed_providers"]
    offered = tuple(dict.fromkeys((*providers, *(allowed or ()))))
    texts = {
        "name": key["name"],
        "owner": key["owner"],
        "expires": KEEP if key["expires_at"] else "never",
        "requests_per_minute": _shown_number(key["requests_per_minute"]),
        "tokens_per_minute": _shown_number(key["tokens_per_minute"]),
        "max_parallel_requests": _shown_number(key["max_parallel_requests"]),
        "budget_usd": key["budget_usd"] or "",
        "budget_period": key["budget_period"],
        "budget_timezone": key["budget_timezone"],
        "alert_thresholds": ", ".join(map(str, key["alert_thresholds"])),
        "allowed_models": _shown_list(key["allowed_models"]),
        "ip_allowlist": _shown_list(key["ip_allowlist"]),
        "metadata": json.dumps(key["metadata"], indent=2, ensure_ascii=False) if key["metadata"] else "",
        "mcp_mode": mcp["access_mode"],
    }
    endpoints = key["allowed_endpoints"]
    chosen = {
        "providers": offered if allowed is None else tuple(allowed),
        "providers_offered": offered,
        "endpoints": ENDPOINTS if endpoints is None else tuple(endpoints),
        "shadow": ("on",) if key["shadow"] else (),
        "mcp_enabled": ("on",) if mcp["enabled"] else (),
        "mcp_servers": tuple(mcp["servers"]),
        "mcp_tools_limited": tuple(mcp["tools"]),
        "mcp_tools": tuple(f"{server}/{tool}" for server, tools in mcp["tools"].items() for tool in tools),
    }
    return KeyForm(texts, chosen)


def to_document(form: KeyForm) -> tuple[dict[str, Any], list[FieldError]]:
    """The document of a creation, and what only the form can find wrong."""
    errors: list[FieldError] = []
    document: dict[str, Any] = {
        "name": form.text("name"),
        **_expiry(form),
        "requests_per_minute": read_number(form.text("requests_per_minute")),
        "tokens_per_minute": read_number(form.text("tokens_per_minute")),
        "max_parallel_requests": read_number(form.text("max_parallel_requests")),
        "budget_usd": form.text("budget_usd").strip().removeprefix("$").strip() or None,
        "budget_period": form.text("budget_period") or None,
        "budget_timezone": form.text("budget_timezone").strip() or None,
        "allowed_providers": _toggles(
            form.ticked("providers"), form.ticked("providers_offered"), "allowed_providers", errors
        ),
        "allowed_models": read_words(form.text("allowed_models")),
        "allowed_endpoints": _toggles(form.ticked("endpoints"), ENDPOINTS, "allowed_endpoints", errors),
        "ip_allowlist": read_words(form.text("ip_allowlist")),
        "metadata": _metadata(form.text("metadata"), errors),
        "shadow": bool(form.ticked("shadow")),
        "mcp": _mcp(form),
    }
    if document["budget_usd"] is not None:
        document["alert_thresholds"] = _thresholds(form.text("alert_thresholds"))
    if form.text("owner").strip():
        document["owner"] = form.text("owner").strip()
    return document, errors


def to_patch(form: KeyForm, key: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """The merge patch of an edit: what differs from the form as it was opened on this key object."""
    before, _ = to_document(form_of(key, form.ticked("providers_offered")))
    after, errors = to_document(form)
    patch = {
        member: value
        for member, value in after.items()
        if member not in before or not _same(before[member], value)
    }
    if "metadata" in patch:
        patch["metadata"] = _merge_patch(before["metadata"], after["metadata"])
    if "mcp" in patch:
        patch["mcp"] = {
            member: _merge_patch(before["mcp"]["tools"], value) if member == "tools" else value
            for member, value in after["mcp"].items()
            if not _same(before["mcp"][member], value)
        }
    # What stands in the key already is no mistake of whoever edits something else.
    return patch, [error for error in errors if error.path in patch]


def find_mistakes(document: Mapping[str, Any]) -> list[FieldError]:
    """What the draft will refuse, for a form that has mistakes of its own: all of them are told at once."""
    try:
        apply_creation(Key(id="", name="", organization="", owner="local"), {"name": "-", **document}, 0)
    except DraftError as error:
        return error.errors
    return []


_GROUP_NAMES = frozenset(
    (
        "providers", "providers_offered", "endpoints", "ephemeral", "shadow", "mcp_enabled", "mcp_servers",
        "mcp_tools_limited", "mcp_tools",
    )
)  # fmt: skip


def _expiry(form: KeyForm) -> dict[str, Any]:
    if form.ticked("ephemeral"):
        return {"ephemeral": True, "ttl_seconds": read_number(form.text("ttl_seconds"))}
    expires = form.text("expires") or "never"
    return {} if expires == KEEP else {"expires_in": expires}


def read_number(text: str) -> int | str | None:
    """The number; what is none stays as it is, for the draft to refuse."""
    text = text.strip()
    plain = re.sub(r"[ ,_]", "", text) if _GROUPED.fullmatch(text) else text
    return int(plain) if _WHOLE.fullmatch(plain) else (text or None)


def _thresholds(text: str) -> list[int | str | None]:
    return [read_number(word.rstrip("%") or word) for word in re.split(r"[,;\s]+", text) if word]


def read_words(text: str) -> list[str] | None:
    """Words between blanks and commas; None without any, an empty list for `none`."""
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if words == [NONE_WORD]:
        return []
    return words or None


def _toggles(
    chosen: Sequence[str], offered: Sequence[str], path: str, errors: list[FieldError]
) -> list[str] | None:
    if set(chosen) >= set(offered):
        return None
    if not chosen:
        errors.append(FieldError(path, ALL_OFF))
    return list(chosen)


def _metadata(text: str, errors: list[FieldError]) -> Any:
    if not text.strip():
        return {}
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        errors.append(
            FieldError("metadata", f"This is no JSON: line {error.lineno}, column {error.colno}: {error.msg}")
        )
        return {}


def _mcp(form: KeyForm) -> dict[str, Any]:
    tools = {}
    for server in form.ticked("mcp_tools_limited"):
        named = [
            name.removeprefix(f"{server}/")
            for name in form.ticked("mcp_tools")
            if name.startswith(f"{server}/")
        ]
        tools[server] = list(dict.fromkeys((*named, *(read_words(form.more_tools(server)) or ()))))
    typed = read_words(form.text("mcp_servers_more")) or ()
    return {
        "enabled": bool(form.ticked("mcp_enabled")),
        "access_mode": form.text("mcp_mode") or None,
        "servers": list(dict.fromkeys((*form.ticked("mcp_servers"), *typed))),
        "tools": tools,
    }


def _shown_number(number: int | None) -> str:
    return "" if number is None else str(number)


def _shown_list(words: Sequence[str] | None) -> str:
    return "" if words is None else "\n".join(words) or NONE_WORD


def _same(one: Any, other: Any) -> bool:
    # As JSON, since Python holds 1, 1.0 and true for equal.
    return orjson.dumps(one) == orjson.dumps(other)


def _merge_patch(before: Any, after: Any) -> Any:
    """The patch that makes `after` of `before` (RFC 7396); null where all of it goes."""
    return None if before and after == {} else _difference(before, after)


def _difference(before: Any, after: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    patch: dict[str, Any] = {member: None for member in before if member not in after}
    for member, value in after.items():
        if member not in before:
            patch[member] = value
        elif not _same(before[member], value):
            patch[member] = _difference(before[member], value)
    return patch
