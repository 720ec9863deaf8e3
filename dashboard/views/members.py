"""Members: who belongs to the organization, invited by a link shown once, given a role, removed with their keys."""

from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from dashboard.plain_form import Mistakes, PlainForm, find_mistakes, read_form
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.problem import Problem
from gateway_proxy.admin.roles import require_manager

COLUMNS = ("id", "email", "name", "role", "status", "organization", "created_at", "last_sign_in_at")
STATUSES = {"all": "All", "active": "Active", "invited": "Invited"}
ROLES = {
    "owner": "Owner: everything, and other owners",
    "admin": "Admin: everything but owners",
    "member": "Member: their own keys",
    "viewer": "Viewer: reads everything, changes nothing",
}
_INVITE_FIELDS = ("email", "name", "role")
_EDIT_FIELDS = ("name", "role")
_KEYS_DEACTIVATED = "deactivate"


async def list_members(request: web.Request) -> web.StreamResponse:
    """The list, or the same as a file."""
    actor = current_actor(request)
    search = request.query.get("search", "")
    status = request.query.get("status", "all")
    if status not in STATUSES:
        raise web.HTTPBadRequest
    members = await request.app[ADMIN].members.list(actor, search=search, status=status)
    if wants_file(request):
        return await send_table(request, "members", COLUMNS, members)
    context = {"members": members, "search": search, "status": status, "statuses": STATUSES}
    return render(request, "members/list.html", context)


async def show_invitation(request: web.Request) -> web.Response:
    """The form of an invitation."""
    require_manager(current_actor(request), "invite members")
    return _invitation(request, PlainForm({"role": Role.MEMBER.value}))


async def invite(request: web.Request) -> web.Response:
    """Makes the invitation and shows its link, this once."""
    actor = current_actor(request)
    form = await read_form(request, _INVITE_FIELDS)
    document = {"email": form.text("email"), "name": form.text("name"), "role": form.text("role")}
    try:
        invited = await request.app[ADMIN].members.add(actor, document)
    except Problem as problem:
        return _invitation(request, form, find_mistakes(problem, _INVITE_FIELDS))
    return _link(request, invited.member, invited.link)


async def show_member(request: web.Request) -> web.Response:
    """One member, with what may be changed."""
    member = await _find(request)
    return _member(request, member, PlainForm({name: member[name] for name in _EDIT_FIELDS}))


async def update_member(request: web.Request) -> web.Response:
    """Name and role."""
    actor, member = current_actor(request), await _find(request)
    form = await read_form(request, _EDIT_FIELDS)
    patch: dict[str, Any] = {
        name: form.text(name) for name in _EDIT_FIELDS if form.text(name) != member[name]
    }
    if not form.text("role"):
        patch.pop("role", None)  # those who may not choose a role have no such field
    try:
        await request.app[ADMIN].members.update(actor, member["id"], patch)
    except Problem as problem:
        return _member(request, member, form, find_mistakes(problem, _EDIT_FIELDS))
    return go_to(request, "/members", notice=f"{member['email']} is saved.")


async def make_link(request: web.Request) -> web.Response:
    """A new link for a member, in the place of earlier ones."""
    made = await request.app[ADMIN].members.make_link(current_actor(request), request.match_info["id"])
    return _link(request, made.member, made.link)


async def show_removal(request: web.Request) -> web.Response:
    """Asks what becomes of the keys."""
    require_manager(current_actor(request), "remove members")
    return await _removal(request, await _find(request))


async def remove_member(request: web.Request) -> web.Response:
    """Ends the membership."""
    actor, member = current_actor(request), await _find(request)
    form = await read_form(request, ("keys", "transfer_to"))
    heir = "" if form.text("keys") == _KEYS_DEACTIVATED else form.text("transfer_to")
    if form.text("keys") != _KEYS_DEACTIVATED and not heir:
        return await _removal(
            request, member, Mistakes([("transfer_to", "choose who gets the keys")], ("transfer_to",))
        )
    try:
        await request.app[ADMIN].members.remove(actor, member["id"], transfer_to=heir)
    except Problem as problem:
        return await _removal(request, member, find_mistakes(problem, ("transfer_to",)))
    done = f"their keys belong to {heir} now" if heir else "their keys are deactivated"
    return go_to(request, "/members", notice=f"{member['email']} was removed; {done}.")


async def _find(request: web.Request) -> dict[str, Any]:
    return await request.app[ADMIN].members.find(current_actor(request), request.match_info["id"])


def _roles(actor: Actor) -> dict[str, str]:
    return {role: text for role, text in ROLES.items() if role != "owner" or actor.role is Role.OWNER}


def _invitation(request: web.Request, form: PlainForm, mistakes: Mistakes | None = None) -> web.Response:
    context = {"form": form, "errors": mistakes or Mistakes(), "roles": _roles(current_actor(request))}
    return render(request, "members/invite.html", context, status=422 if mistakes else 200)


def _link(request: web.Request, member: dict[str, Any], link: str) -> web.Response:
    shown = link if "://" in link else f"{request.url.origin()}{link}"
    return render(request, "members/link.html", {"member": member, "link": shown})


def _member(
    request: web.Request, member: dict[str, Any], form: PlainForm, mistakes: Mistakes | None = None
) -> web.Response:
    actor = current_actor(request)
    context = {
        "member": member,
        "form": form,
        "errors": mistakes or Mistakes(),
        "roles": _roles(actor),
        "own": member["id"] == actor.member_id,
    }
    return render(request, "members/member.html", context, status=422 if mistakes else 200)


async def _removal(
    request: web.Request, member: dict[str, Any], mistakes: Mistakes | None = None
) -> web.Response:
    members = await request.app[ADMIN].members.list(current_actor(request))
    others = [
        other
        for other in members
        if other["id"] != member["id"] and other["organization"] == member["organization"]
    ]
    context = {"member": member, "others": others, "errors": mistakes or Mistakes()}
    return render(request, "members/remove.html", context, status=422 if mistakes else 200)


ROUTES = [
    web.get("/members", list_members),
    web.post("/members", invite),
    web.get("/members/invite", show_invitation),
    web.get("/members/{id}", show_member),
    web.post("/members/{id}", update_member),
    web.post("/members/{id}/link", make_link),
    web.get("/members/{id}/remove", show_removal),
    web.post("/members/{id}/remove", remove_member),
]
