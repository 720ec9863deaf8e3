"""Coming in and going out: sign-in, first set-up, invitations and new passwords, OpenID Connect, sign-out.

All of it is plain forms. The cookie itself is the business of `web_auth`, which the embedding application put before.
"""

from collections.abc import Mapping
from typing import Any, Literal

from aiohttp import web

from dashboard.frame import ADMIN, current_actor, go_to, local_path, public, render
from dashboard.guard import SIGN_IN_PATH
from dashboard.posted import read_posted
from gateway_proxy.admin.links import LinkTarget, SignedIn
from gateway_proxy.admin.oidc import FLOW_SECONDS
from gateway_proxy.admin.problem import Invalid, NotFound, Problem, SignInNeeded, TooMany
from gateway_proxy.admin.services import Admin
from gateway_proxy.admin.web_auth import find_actor, find_ip, find_web_auth

_FLOW_COOKIE = "-oidc"  # behind the session cookie's name, so that it keeps its prefix
_MAX_FIELD = 2000


@public
async def show_sign_in(request: web.Request) -> web.Response:
    """The form; whoever is signed in already goes on."""
    if find_actor(request) is not None:
        return go_to(request, local_path(request, request.query.get("next", "")))
    return await _sign_in_page(request, {"next": request.query.get("next", "")})


@public
async def sign_in(request: web.Request) -> web.Response:
    """Checks the form and hands out the session."""
    form = await read_form(request)
    try:
        actor, cookie = await _admin(request).sessions.sign_in(
            form.get("email", ""), form.get("password", ""), find_ip(request), _user_agent(request),
            form.get("organization", ""),
        )  # fmt: skip
    except (SignInNeeded, TooMany, Invalid) as problem:
        return await _sign_in_page(request, form, problem)
    return _enter(request, SignedIn(actor, cookie), local_path(request, form.get("next", "")))


async def sign_out(request: web.Request) -> web.Response:
    """Ends this session, and takes the cookie back in any case."""
    actor = current_actor(request)
    response = go_to(request, SIGN_IN_PATH, notice="You are signed out.")
    find_web_auth(request).clear_cookie(request, response)
    try:
        await _admin(request).sessions.sign_out(actor)
    except NotFound:
        pass  # it ended meanwhile, which is what was asked for
    return response


@public
async def show_setup(request: web.Request) -> web.Response:
    """The form for the first owner."""
    target = await _admin(request).links.look("setup", _secret(request))
    return _link_page(request, "setup", target)


@public
async def set_up(request: web.Request) -> web.Response:
    """Makes the first owner and signs them in."""
    links, form = _admin(request).links, await read_form(request)
    try:
        done = await links.set_up(
            _secret(request), name=form.get("name", ""), email=form.get("email", ""),
            password=form.get("password", ""), ip=find_ip(request), user_agent=_user_agent(request),
        )  # fmt: skip
    except (Invalid, TooMany) as problem:
        target = await links.look("setup", _secret(request))
        return _link_page(request, "setup", target, form, problem)
    return _enter(request, done, "", notice="Welcome. Create your first key under API keys.")


@public
async def show_link(request: web.Request) -> web.Response:
    """The form for a password, behind an invitation or a link for a new password."""
    target = await _admin(request).links.look(_kind(request), _secret(request))
    return _link_page(request, _kind(request), target, {"name": target.name})


@public
async def use_link(request: web.Request) -> web.Response:
    """Sets the password and signs the member in."""
    links, form, kind = _admin(request).links, await read_form(request), _kind(request)
    try:
        done = await links.accept(
            kind, _secret(request), password=form.get("password", ""), ip=find_ip(request),
            user_agent=_user_agent(request), name=form.get("name"),
        )  # fmt: skip
    except (Invalid, TooMany) as problem:
        target = await links.look(kind, _secret(request))
        return _link_page(request, kind, target, form, problem)
    return _enter(request, done, "")


@public
async def enter(request: web.Request) -> web.Response:
    """The demo's link: signs in once. Followed again by the same browser it leads to the dashboard."""
    if find_actor(request) is not None:
        return go_to(request, "")
    done = await _admin(request).links.enter(_secret(request), find_ip(request), _user_agent(request))
    return _enter(request, done, "")


@public
async def begin_oidc(request: web.Request) -> web.Response:
    """Sends the visitor to the OpenID provider."""
    oidc = _admin(request).oidc
    if oidc is None:
        raise web.HTTPNotFound
    begun = await oidc.begin(request.query.get("next", ""))
    response = web.Response(status=303, headers={"Location": begun.url})
    name, secure = _flow_cookie(request)
    # Lax: the provider sends the visitor back from its own site.
    response.set_cookie(
        name, begun.cookie, path="/", max_age=FLOW_SECONDS, httponly=True, samesite="Lax", secure=secure
    )
    return response


@public
async def finish_oidc(request: web.Request) -> web.Response:
    """The way back from the OpenID provider."""
    oidc = _admin(request).oidc
    if oidc is None:
        raise web.HTTPNotFound
    name, secure = _flow_cookie(request)
    try:
        done, next_path = await oidc.finish(
            request.cookies.get(name, ""), request.query, find_ip(request), _user_agent(request)
        )
        response = _enter(request, done, local_path(request, next_path))
    except Problem as problem:
        response = await _sign_in_page(request, {}, problem)
    response.del_cookie(name, path="/", httponly=True, samesite="Lax", secure=secure)
    return response


async def read_form(request: web.Request) -> dict[str, str]:
    """The text fields of a form, each cut where nobody would type on."""
    form = await read_posted(request)
    return {name: value[:_MAX_FIELD] for name, value in form.items() if isinstance(value, str)}


def describe_mistakes(problem: Problem | None) -> dict[str, str]:
    """Field → what is wrong with it; `form` for what belongs to no field."""
    if problem is None:
        return {}
    if isinstance(problem, Invalid):
        return {error.path or "form": _sentence(error.message) for error in problem.errors}
    text = _sentence(problem.detail)
    if isinstance(problem, TooMany):
        text = f"{text} You can try again in {problem.retry_after_seconds} seconds."
    return {"form": text}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


async def _sign_in_page(
    request: web.Request, form: Mapping[str, str], problem: Problem | None = None
) -> web.Response:
    admin = _admin(request)
    mistakes = describe_mistakes(problem)
    context = {
        "mistakes": mistakes,
        "email": form.get("email", ""),
        "next": form.get("next", ""),
        "organization": form.get("organization", ""),
        "ask_organization": "organization" in mistakes or bool(form.get("organization")),
        "has_oidc": admin.oidc is not None,
        "is_set_up": await admin.links.is_set_up(),
    }
    page = render(request, "signin.html", context, status=problem.status if problem else 200)
    if isinstance(problem, TooMany):
        page.headers["Retry-After"] = str(problem.retry_after_seconds)
    return page


def _link_page(
    request: web.Request,
    kind: Literal["setup", "invite", "reset"],
    target: LinkTarget,
    form: Mapping[str, str] | None = None,
    problem: Problem | None = None,
) -> web.Response:
    form = form or {}
    context: dict[str, Any] = {
        "kind": kind,
        "target": target,
        "name": form.get("name", ""),
        "email": form.get("email", ""),
        "mistakes": describe_mistakes(problem),
    }
    template = "setup.html" if kind == "setup" else "invite.html"
    return render(request, template, context, status=problem.status if problem else 200)


def _enter(request: web.Request, done: SignedIn, path: str, *, notice: str = "") -> web.Response:
    response = go_to(request, path, notice=notice)
    find_web_auth(request).set_cookie(request, response, done.cookie)
    return response


def _flow_cookie(request: web.Request) -> tuple[str, bool]:
    auth = find_web_auth(request)
    name, secure = auth.describe_cookie(request)
    return name + _FLOW_COOKIE, secure


def _admin(request: web.Request) -> Admin:
    return request.app[ADMIN]


def _secret(request: web.Request) -> str:
    return request.match_info["secret"]


def _kind(request: web.Request) -> Literal["invite", "reset"]:
    return "reset" if request.match_info["kind"] == "reset" else "invite"


def _user_agent(request: web.Request) -> str:
    return request.headers.get("User-Agent", "")


ROUTES = [
    web.get(SIGN_IN_PATH, show_sign_in),
    web.post(SIGN_IN_PATH, sign_in),
    web.post("/sign-out", sign_out),
    web.get("/setup/{secret}", show_setup),
    web.post("/setup/{secret}", set_up),
    web.get("/{kind:invite|reset}/{secret}", show_link),
    web.post("/{kind:invite|reset}/{secret}", use_link),
    web.get("/enter/{secret}", enter, allow_head=False),
    web.get("/oidc/start", begin_oidc),
    web.get("/oidc/callback", finish_oidc, allow_head=False),
]
