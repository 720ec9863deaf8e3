"""The audit page: who did what, when and from where, and whether each gateway's own log of it is untouched."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, PREFIX, current_actor, render
from dashboard.ranges import RANGES, Range, read_range
from gateway_proxy.admin.audit import ActFilter

COLUMNS = (
    "id", "at", "action", "subject", "subject_name", "actor", "ip", "organization", "details",
)  # fmt: skip
CHAIN_COLUMNS = (
    "gateway_id",
    "name",
    "organization",
    "status",
    "entries",
    "fault",
    "head",
    "reported_at",
    "checked_at",
)
KINDS = {
    "": "Everything",
    "key.*": "Keys",
    "member.*": "Members and sign-ins",
    "token.*": "Admin tokens",
    "gateway.*": "Gateways",
    "organization.*": "Organizations",
    "endpoint.*": "Notifications",
}
ANY_TIME = {"any": "Any time", **RANGES}
FIELDS = ("action", "actor", "subject")
_PAGE = 50
_FILE_PAGE = 1000
_CHAIN_BADGES = {"ok": "good", "broken": "bad", "elsewhere": ""}
_CHAIN_WORDS = {"ok": "Untouched", "broken": "Broken", "elsewhere": "On another machine"}


async def list_acts(request: web.Request) -> web.StreamResponse:
    """A page of acts, or all that fit the filters as a file."""
    actor, service = current_actor(request), request.app[ADMIN].audit
    asked = {name: request.query.get(name, "").strip() for name in FIELDS}
    chosen = _read_range(request)
    wanted = _read_filter(asked, chosen)
    if wants_file(request):
        if request.query.get("table") == "logs":
            return await send_table(request, "audit-logs", CHAIN_COLUMNS, await service.chains(actor))
        return await send_table(request, "audit", COLUMNS, _each_act(request, wanted))
    page = await service.search(actor, wanted, limit=_PAGE, cursor=request.query.get("cursor"))
    kept = {name: value for name, value in (asked | chosen.query).items() if value}
    context = {
        "acts": [_show(act) for act in page.data],
        "chains": [_show_chain(chain) for chain in await service.chains(actor)],
        "asked": asked,
        "range": chosen,
        "ranges": ANY_TIME,
        "kinds": KINDS,
        "filtered": any(asked.values()) or chosen.name != "any",
        "file_path": _path(request, kept),
        "next_path": _path(request, kept | {"cursor": page.next_cursor}) if page.next_cursor else "",
        "chains_path": _path(request, {"table": "logs"}),
        "first_path": _path(request, kept) if "cursor" in request.query else "",
    }
    return render(request, "audit.html", context)


async def _each_act(request: web.Request, wanted: ActFilter) -> AsyncIterator[dict[str, Any]]:
    service, cursor = request.app[ADMIN].audit, None
    while True:
        page = await service.search(current_actor(request), wanted, limit=_FILE_PAGE, cursor=cursor)
        for act in page.data:
            yield act
        cursor = page.next_cursor
        if cursor is None:
            return


def _read_range(request: web.Request) -> Range:
    now = datetime.now(UTC)
    if request.query.get("range", "any") == "any" and not {"from", "to"} & set(request.query):
        return Range("any", 0, int(now.timestamp() * 1000))
    return read_range(request.query, now)


def _read_filter(asked: dict[str, str], chosen: Range) -> ActFilter:
    any_time = chosen.name == "any"
    return ActFilter(
        **asked,
        start_ms=None if any_time else chosen.start_ms,
        end_ms=None if any_time else chosen.end_ms,
    )


def _path(request: web.Request, query: dict[str, str]) -> str:
    path = request.app[PREFIX] + "/audit"
    return f"{path}?{urlencode(query)}" if query else path


def _show(act: dict[str, Any]) -> dict[str, Any]:
    """An act with its changes as (member, before, after), and other details as (member, value)."""
    details = act["details"]
    changes = details.get("changes") if isinstance(details.get("changes"), dict) else {}
    pairs = [
        (name, *map(_write, pair))
        for name, pair in changes.items()
        if isinstance(pair, list) and len(pair) == 2
    ]
    facts = [(name, _write(value)) for name, value in details.items() if name != "changes"]
    return act | {"changes": pairs, "facts": facts, "words": _say(act["action"])}


def _write(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _say(action: str) -> str:
    """`member.signed_in` as `Member signed in`."""
    return action.replace(".", " ").replace("_", " ").capitalize()


def _show_chain(chain: dict[str, Any]) -> dict[str, Any]:
    number, _, mac = chain["head"].partition(":")
    return chain | {
        "badge": _CHAIN_BADGES[chain["status"]],
        "words": _CHAIN_WORDS[chain["status"]],
        "number": number,
        "mac": mac,
    }


ROUTES = [web.get("/audit", list_acts)]
