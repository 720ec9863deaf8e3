"""One's own account: name, password, and where one is signed in."""

from typing import Any

from aiohttp import web

from dashboard.exports import send_table, wants_file
from dashboard.frame import ADMIN, current_actor, go_to, render
from dashboard.guard import SIGN_IN_PATH
from dashboard.views.signin import describe_mistakes, read_form
from gateway_proxy.admin.problem import Invalid, NotAllowed, Problem, TooMany
from gateway_proxy.admin.web_auth import find_web_auth

PATH = "/account"
SESSION_COLUMNS = ("user_agent", "ip", "last_used_at", "created_at", "expires_at", "current")


async def show_account(request: web.Request) -> web.StreamResponse:
    """The page, or the sessions as a file."""
    if wants_file(request):
        sessions = await request.app[ADMIN].sessions.list(current_actor(request))
        return await send_table(request, "sessions", SESSION_COLUMNS, sessions)
    return await _page(request)


async def rename(request: web.Request) -> web.Response:
    """Keeps the new name."""
    actor, form = current_actor(request), await read_form(request)
    try:
        await request.app[ADMIN].members.update(actor, actor.member_id, {"name": form.get("name", "")})
    except Invalid as problem:
        return await _page(request, problem, {"name": form.get("name", "")})
    return go_to(request, PATH, notice="Your name was saved.")


async def change_password(request: web.Request) -> web.Response:
    """Sets the new password; everywhere else one is signed out."""
    actor, form = current_actor(request), await read_form(request)
    try:
        await request.app[ADMIN].members.change_password(
            actor, form.get("current_password", ""), form.get("password", "")
        )
    except (Invalid, TooMany) as problem:
        return await _page(request, problem)
    return go_to(request, PATH, notice="Your password was changed. Other sessions were ended.")


async def end_session(request: web.Request) -> web.Response:
    """Signs out on another device."""
    await request.app[ADMIN].sessions.end(current_actor(request), request.match_info["session"])
    return go_to(request, PATH, notice="The session was ended.")


async def sign_out_everywhere(request: web.Request) -> web.Response:
    """Ends all sessions, this one too."""
    await request.app[ADMIN].sessions.sign_out_everywhere(current_actor(request))
    response = go_to(request, SIGN_IN_PATH, notice="You are signed out everywhere.")
    find_web_auth(request).clear_cookie(request, response)
    return response


async def _page(
    request: web.Request, problem: Problem | None = None, typed: dict[str, str] | None = None
) -> web.Response:
    actor = current_actor(request)
    if not actor.member_id:
        raise NotAllowed("a token without a member has no account")
    admin = request.app[ADMIN]
    context: dict[str, Any] = {
        "member": await admin.members.find(actor, actor.member_id) | (typed or {}),
        "has_password": await admin.members.has_password(actor),
        "sessions": await admin.sessions.list(actor),
        "mistakes": describe_mistakes(problem),
    }
    return render(request, "account.html", context, status=problem.status if problem else 200)


ROUTES = [
    web.get(PATH, show_account),
    web.post(f"{PATH}/name", rename),
    web.post(f"{PATH}/password", change_password),
    web.post(f"{PATH}/sessions/{{session}}/end", end_session),
    web.post(f"{PATH}/sign-out-everywhere", sign_out_everywhere),
]
