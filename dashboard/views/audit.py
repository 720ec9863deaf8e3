"""The audit page: who did what, when and from where, and whether each gateway's own log of it is untouched."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, render
from dashboard.lists import each_row, keep_filters, page_links, read_filters
from dashboard.ranges import ANY_TIME, Range, read_any_range
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
FIELDS = ("action", "actor", "subject")
_PAGE = 50
_CHAIN_BADGES = {"ok": "good", "broken": "bad", "elsewhere": ""}
_CHAIN_WORDS = {"ok": "Untouched", "broken": "Broken", "elsewhere": "On another machine"}


async def list_acts(request: web.Request) -> web.StreamResponse:
    """A page of acts, or all that fit the filters as a file."""
    actor, service = current_actor(request), request.app[ADMIN].audit
    asked = read_filters(request, FIELDS).texts
    chosen = read_any_range(request.query, datetime.now(UTC))
    search = partial(service.search, actor, _read_filter(asked, chosen))
    if wants_file(request):
        if request.query.get("table") == "logs":
            return await send_table(request, "audit-logs", CHAIN_COLUMNS, await service.chains(actor))
        return await send_table(request, "audit", COLUMNS, each_row(search))
    page = await search(limit=_PAGE, cursor=request.query.get("cursor"))
    context = {
        "acts": [_show(act) for act in page.data],
        "chains": [_show_chain(chain) for chain in await service.chains(actor)],
        "asked": asked,
        "range": chosen,
        "ranges": ANY_TIME,
        "kinds": KINDS,
        "filtered": any(asked.values()) or chosen.name != "any",
        "chains_path": str(request.rel_url.with_query(table="logs")),
        **page_links(request, page.next_cursor, keep_filters(request, FIELDS)),
    }
    return render(request, "audit.html", context)


def _read_filter(asked: Mapping[str, str], chosen: Range) -> ActFilter:
    any_time = chosen.name == "any"
    return ActFilter(
        **asked,
        start_ms=None if any_time else chosen.start_ms,
        end_ms=None if any_time else chosen.end_ms,
    )


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
