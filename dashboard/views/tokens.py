"""Admin tokens: secrets for programs that use the admin API. Made with a one-time reveal, and revoked."""

from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from dashboard.plain_form import Mistakes, PlainForm, find_mistakes, read_form
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.problem import Problem
from gateway_proxy.admin.roles import is_manager

COLUMNS = (
    "id", "name", "role", "member", "preview", "status", "created_at", "expires_at", "last_used_at", "organization",
)  # fmt: skip
FIELDS = ("name", "role", "member", "expires_in")
EXPIRATIONS = {
    "30d": "30 days",
    "60d": "60 days",
    "90d": "90 days",
    "180d": "180 days",
    "1y": "1 year",
    "never": "Never",
}
PATH = "/settings/tokens"


async def list_tokens(request: web.Request) -> web.StreamResponse:
    """The list, or the same as a file."""
    tokens = await request.app[ADMIN].tokens.list(current_actor(request))
    if wants_file(request):
        return await send_table(request, "admin-tokens", COLUMNS, tokens)
    return render(request, "settings/tokens.html", {"tokens": tokens})


async def show_form(request: web.Request) -> web.Response:
    """The form of a new token."""
    actor = current_actor(request)
    form = PlainForm({"role": actor.role.value, "expires_in": "90d", "member": actor.email})
    return _form(request, form)


async def create_token(request: web.Request) -> web.Response:
    """Makes the token and shows its secret, this once."""
    actor, form = current_actor(request), await read_form(request, FIELDS)
    document: dict[str, Any] = {name: form.text(name) for name in FIELDS}
    try:
        made = await request.app[ADMIN].tokens.create(actor, document)
    except Problem as problem:
        return _form(request, form, find_mistakes(problem, FIELDS))
    return render(request, "settings/token_made.html", {"token": made.token, "secret": made.secret})


async def ask_revocation(request: web.Request) -> web.Response:
    """Asks before a token ends."""
    token = await request.app[ADMIN].tokens.find(current_actor(request), request.match_info["id"])
    return render(request, "settings/token_revoke.html", {"token": token})


async def revoke_token(request: web.Request) -> web.Response:
    """Ends the token for good."""
    actor, token_id = current_actor(request), request.match_info["id"]
    token = await request.app[ADMIN].tokens.find(actor, token_id)
    await request.app[ADMIN].tokens.revoke(actor, token_id)
    return go_to(request, PATH, notice=f"{token['name'] or token['preview']} was revoked.")


def _roles(actor: Actor) -> dict[str, str]:
    everything = {
        "owner": "Owner: everything",
        "admin": "Admin: everything but owners",
        "member": "Member: the member's own keys",
        "viewer": "Viewer: reads only",
    }
    if actor.role is Role.OWNER:
        return everything
    if actor.role is Role.ADMIN:
        return {name: text for name, text in everything.items() if name != "owner"}
    return {actor.role.value: everything[actor.role.value]}


def _form(request: web.Request, form: PlainForm, mistakes: Mistakes | None = None) -> web.Response:
    actor = current_actor(request)
    context = {
        "form": form,
        "errors": mistakes or Mistakes(),
        "roles": _roles(actor),
        "expirations": EXPIRATIONS,
        "for_others": is_manager(actor),
    }
    return render(request, "settings/token_new.html", context, status=422 if mistakes else 200)


ROUTES = [
    web.get(PATH, list_tokens),
    web.post(PATH, create_token),
    web.get(f"{PATH}/new", show_form),
    web.get(f"{PATH}/{{id}}/revoke", ask_revocation),
    web.post(f"{PATH}/{{id}}/revoke", revoke_token),
]
