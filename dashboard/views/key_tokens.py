"""An ephemeral token of a key: a form of what it may at most, and the token, shown this once."""

from typing import Any

from aiohttp import web

from dashboard.forms import DEFAULT_TTL_SECONDS, read_number, read_words
from dashboard.frame import ADMIN, current_actor
from dashboard.plain_form import Mistakes, PlainForm, find_mistakes, read_form
from dashboard.views.keys import ONE_KEY, render_dialog
from gateway_proxy.admin.problem import Conflict, Invalid
from gateway_proxy.admin.roles import require_key_writer

_COUNTS = ("ttl_seconds", "requests_per_minute", "tokens_per_minute")
_LISTS = ("allowed_models", "allowed_providers", "ip_allowlist")
FIELDS = ("name", "budget_usd", *_COUNTS, *_LISTS)


async def open_token(request: web.Request) -> web.Response:
    return await _show(request, PlainForm({"ttl_seconds": str(DEFAULT_TTL_SECONDS)}), Mistakes())


async def make_token(request: web.Request) -> web.Response:
    """The token, or what is wrong with what was asked for."""
    form = await read_form(request, FIELDS)
    actor, key_id = current_actor(request), request.match_info["key_id"]
    try:
        made = await request.app[ADMIN].keys.mint(actor, key_id, to_document(form))
    except (Invalid, Conflict) as problem:
        status = 422 if isinstance(problem, Invalid) else 409
        return await _show(request, form, find_mistakes(problem, FIELDS), status=status)
    token = await request.app[ADMIN].keys.find(actor, made["id"])
    context = {"key": token, "secret": made["token"], "title": "Ephemeral Token created! Copy it now"}
    return await render_dialog(request, "keys/secret.html", context)


def to_document(form: PlainForm) -> dict[str, Any]:
    """What `POST /keys/{id}/ephemeral` takes; an empty field asks for nothing."""
    named: dict[str, Any] = {
        "name": form.text("name"),
        "budget_usd": form.text("budget_usd").removeprefix("$").strip(),
    }
    named |= {member: read_number(form.text(member)) for member in _COUNTS}
    named |= {member: read_words(form.text(member)) for member in _LISTS}
    return {member: value for member, value in named.items() if value not in ("", None)}


async def _show(
    request: web.Request, form: PlainForm, errors: Mistakes, *, status: int = 200
) -> web.Response:
    actor = current_actor(request)
    key = await request.app[ADMIN].keys.find(actor, request.match_info["key_id"])
    require_key_writer(actor, key["owner"])
    context = {"key": key, "form": form, "errors": errors}
    return await render_dialog(request, "keys/ephemeral.html", context, status=status)


ROUTES = [
    web.get(ONE_KEY + "/ephemeral", open_token),
    web.post(ONE_KEY + "/ephemeral", make_token),
]
