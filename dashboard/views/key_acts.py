"""What is done to a key beside editing it: rotate, deactivate, activate, revoke, delete."""

from typing import Any

from aiohttp import web

from dashboard.frame import ADMIN, current_actor, go_to
from dashboard.posted import read_posted
from dashboard.views.key_forms import show_secret
from dashboard.views.keys import ONE_KEY, key_address, list_address, render_dialog
from gateway_proxy.admin.problem import Conflict, Stale
from gateway_proxy.admin.roles import require_key_writer

# Seconds that the old secret goes on working, as the form offers them.
GRACES = {
    "0": "At once",
    "300": "After 5 minutes",
    "3600": "After 1 hour",
    "86400": "After 1 day",
    "604800": "After 7 days",
}


async def ask_rotate(request: web.Request) -> web.Response:
    return await _ask(request, "keys/rotate.html", {"graces": GRACES})


async def rotate_key(request: web.Request) -> web.Response:
    """A new secret, shown this once. Sent again, the form finds another revision and does nothing."""
    posted = await read_posted(request)
    grace, revision = str(posted.get("grace", "0")), str(posted.get("revision", ""))
    if grace not in GRACES or not (revision.isascii() and revision.isdecimal() and len(revision) < 18):
        raise web.HTTPBadRequest
    try:
        made = await request.app[ADMIN].keys.rotate(
            current_actor(request),
            request.match_info["key_id"],
            {"grace_seconds": int(grace)},
            revisions=[int(revision)],
        )
    except Stale:
        return await _ask(request, "keys/changed_meanwhile.html", {}, status=409)
    return await show_secret(request, made.key, made.secret, "API Key rotated! Copy it now")


async def deactivate_key(request: web.Request) -> web.Response:
    key = await request.app[ADMIN].keys.deactivate(current_actor(request), request.match_info["key_id"])
    return _back_to(request, key, "The key is deactivated. Requests with it are refused from now on.")


async def activate_key(request: web.Request) -> web.Response:
    """Ends a pause or a revocation; an expired key says what to do first."""
    try:
        key = await request.app[ADMIN].keys.activate(current_actor(request), request.match_info["key_id"])
    except Conflict:
        return await _ask(request, "keys/expired.html", {}, status=409)
    if key["status"] == "active":
        return _back_to(request, key, "The key is active again.")
    return _back_to(
        request, key, f"This token sleeps as long as the key that it was made from is {key['status']}."
    )


async def ask_revoke(request: web.Request) -> web.Response:
    return await _ask(request, "keys/revoke.html", {})


async def revoke_key(request: web.Request) -> web.Response:
    key = await request.app[ADMIN].keys.revoke(current_actor(request), request.match_info["key_id"])
    return _back_to(request, key, "The key is revoked, and its running requests are ended.")


async def ask_delete(request: web.Request) -> web.Response:
    return await _ask(request, "keys/delete.html", {})


async def delete_key(request: web.Request) -> web.Response:
    actor, key_id = current_actor(request), request.match_info["key_id"]
    key = await request.app[ADMIN].keys.find(actor, key_id)
    await request.app[ADMIN].keys.delete(actor, key_id)
    return go_to(request, list_address(request), notice=f"'{key['name']}' was deleted.")


async def _ask(
    request: web.Request, template: str, context: dict[str, Any], *, status: int = 200
) -> web.Response:
    actor = current_actor(request)
    key = await request.app[ADMIN].keys.find(actor, request.match_info["key_id"])
    require_key_writer(actor, key["owner"])
    return await render_dialog(request, template, {"key": key, **context}, status=status)


def _back_to(request: web.Request, key: dict[str, Any], notice: str) -> web.Response:
    return go_to(request, key_address(request, key["id"]), notice=notice)


ROUTES = [
    web.get(ONE_KEY + "/rotate", ask_rotate),
    web.post(ONE_KEY + "/rotate", rotate_key),
    web.post(ONE_KEY + "/deactivate", deactivate_key),
    web.post(ONE_KEY + "/activate", activate_key),
    web.get(ONE_KEY + "/revoke", ask_revoke),
    web.post(ONE_KEY + "/revoke", revoke_key),
    web.get(ONE_KEY + "/delete", ask_delete),
    web.post(ONE_KEY + "/delete", delete_key),
]
