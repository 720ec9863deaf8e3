"""The list of keys, its export, and the details of one key."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, render, wants_part
from dashboard.key_list import KINDS, PAGE_SIZE, SORTABLE, STATUSES, ListState, read_state
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.roles import is_manager

KEYS_PATH = "/configuration/api-keys"
ONE_KEY = KEYS_PATH + "/{key_id:key_[0-9a-z]+}"
_EXPORTED = (
    "id", "kind", "parent_id", "name", "owner", "preview", "status", "created_at", "expires_at", "last_used_at", "requests", "usage_percent",
    "spent_usd", "requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests", "budget_usd",
    "budget_period", "budget_timezone", "alert_thresholds", "allowed_providers", "allowed_models", "allowed_endpoints",
    "ip_allowlist", "metadata", "strict", "shadow", "mcp",
)  # fmt: skip
_EXPORT_PAGE = 500


async def show_keys(request: web.Request) -> web.StreamResponse:
    """The list; as a file, all pages of it."""
    if wants_file(request):
        return await send_table(request, "api-keys", _EXPORTED, _all_keys(request))
    return render(request, "keys/list.html", await list_context(request))


async def show_key(request: web.Request) -> web.Response:
    """One key: what it may, what it has used, where it is live."""
    actor, use = current_actor(request), request.app[ADMIN].key_use
    key_id = request.match_info["key_id"]
    key = await request.app[ADMIN].keys.find(actor, key_id)
    counters = await use.counters(actor, key_id)
    context = {
        "key": key,
        "sleeps": await _sleeps(request, key),
        "counters": counters,
        "budget": describe_budget(key, counters),
        "requests": await use.last_requests(actor, key_id),
        "gateways": await use.gateways(actor, key_id),
    }
    return await render_dialog(request, "keys/detail.html", context)


async def _sleeps(request: web.Request, key: Mapping[str, Any]) -> bool:
    """Whether a token is inactive because its key is: nothing that is done to the token would wake it."""
    if key["status"] != "inactive" or key["parent_id"] is None:
        return False
    parent = await request.app[ADMIN].keys.find(current_actor(request), key["parent_id"])
    return bool(parent["status"] != "active")


async def list_context(request: web.Request) -> dict[str, Any]:
    """What the list's template needs."""
    actor, state = current_actor(request), read_state(request.query)
    found = await request.app[ADMIN].keys.search(actor, state.query())
    pages = max(1, -(-found.total // PAGE_SIZE))
    return {
        **_shared(actor, state),
        "keys": found.keys,
        "total": found.total,
        "first": (state.page - 1) * PAGE_SIZE + 1,
        "pages": pages,
        "statuses": STATUSES,
        "kinds": KINDS,
        "sortable": SORTABLE,
    }


async def render_dialog(
    request: web.Request, template: str, context: Mapping[str, Any], *, status: int = 200
) -> web.Response:
    """A dialog in front of the list, which keeps its search and page."""
    actor, state = current_actor(request), read_state(request.query)
    behind = _shared(actor, state) if wants_part(request) else await list_context(request)
    return render(request, template, {**behind, **context}, status=status, dialog=True)


def list_address(request: web.Request) -> str:
    """The list that a dialog stands in front of, as a path below the prefix."""
    return KEYS_PATH + read_state(request.query).address()


def key_address(request: web.Request, key_id: str) -> str:
    """The details of a key in front of the same list."""
    return f"{KEYS_PATH}/{key_id}{read_state(request.query).address()}"


def describe_budget(key: Mapping[str, Any], counters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Spend against budget: of the current period where the gateway answers, else None is known of the period."""
    if key["budget_usd"] is None:
        return None
    live = counters["budget"] if counters else None
    limit = Decimal(key["budget_usd"])
    spent = None
    if live is not None:
        spent = live["spent_usd"]
    elif key["budget_period"] == "total":
        spent = key["spent_usd"]
    percent = None
    if spent is not None:
        percent = 100 if not limit else min(100, int(100 * Decimal(spent) / limit))
    return {
        "limit_usd": key["budget_usd"],
        "spent_usd": spent,
        "reserved_usd": live["reserved_usd"] if live else None,
        "remaining_usd": live["remaining_usd"] if live else None,
        "resets_at": live["resets_at"] if live else None,
        "percent": percent,
        "period": key["budget_period"],
    }


def _shared(actor: Actor, state: ListState) -> dict[str, Any]:
    return {
        "state": state,
        "list_path": KEYS_PATH,
        "now": datetime.now(UTC),
        "may_create": is_manager(actor) or (actor.role is Role.MEMBER and bool(actor.email)),
        "may_change": is_manager(actor) or actor.role is Role.MEMBER,
    }


async def _all_keys(request: web.Request) -> AsyncIterator[dict[str, Any]]:
    actor, keys = current_actor(request), request.app[ADMIN].keys
    query = replace(read_state(request.query).query(), limit=_EXPORT_PAGE, skip=0)
    while True:
        found = await keys.search(actor, query)
        for key in found.keys:
            yield key
        if found.next_cursor is None:
            return
        query = replace(query, cursor=found.next_cursor)


ROUTES = [
    web.get(KEYS_PATH, show_keys),
    web.get(ONE_KEY, show_key),
]
