"""What all pages share: the navigation around them, who is signed in, one way to answer, one way to move on.

A page's handler calls `render` or `go_to`; it never builds HTML or redirects itself.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import aiohttp_jinja2
from aiohttp import web

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import SignInNeeded
from gateway_proxy.admin.roles import is_manager
from gateway_proxy.admin.services import Admin

THEMES = ("system", "light", "dark")
THEME_COOKIE = "gateway_theme"
NOTICE_COOKIE = "gateway_notice"
_MAX_NOTICE = 300
# Set by our script on requests for a part of a page: the answer leaves the frame out.
_PART_HEADER = "X-Dashboard-Part"
Handler = TypeVar("Handler")


@dataclass(frozen=True, slots=True)
class NavigationItem:
    """One page in the navigation. `path` stands below the prefix; "" is the overview."""

    label: str
    path: str
    icon: str


@dataclass(frozen=True, slots=True)
class NavigationGroup:
    """Items below one heading; the first group has none."""

    label: str
    items: tuple[NavigationItem, ...]


_GROUPS = (
    NavigationGroup("", (NavigationItem("Overview", "", "overview"),)),
    NavigationGroup(
        "Configuration",
        (
            NavigationItem("API keys", "/configuration/api-keys", "key"),
            NavigationItem("MCP servers", "/configuration/mcp-servers", "plug"),
        ),
    ),
    NavigationGroup(
        "Observe",
        (
            NavigationItem("Logs", "/logs", "list"),
            NavigationItem("Usage", "/usage", "chart"),
            NavigationItem("Gateways", "/gateways", "server"),
        ),
    ),
    NavigationGroup(
        "Organization",
        (
            NavigationItem("Members", "/members", "people"),
            NavigationItem("Audit", "/audit", "shield"),
            NavigationItem("Settings", "/settings", "gear"),
        ),
    ),
    NavigationGroup("Try", (NavigationItem("Playground", "/playground", "play"),)),
)

ADMIN = web.AppKey("admin", Admin)
PREFIX = web.AppKey("prefix", str)
CLOSING = web.AppKey("closing", asyncio.Event)  # set when what stays open for long has to end
NAVIGATION: web.AppKey[tuple[NavigationGroup, ...]] = web.AppKey("navigation", tuple)


def build_navigation(router: web.UrlDispatcher) -> tuple[NavigationGroup, ...]:
    """The groups, without pages that this application does not serve."""
    served = {resource.canonical for resource in router.resources()}
    groups = (
        NavigationGroup(group.label, tuple(item for item in group.items if item.path in served))
        for group in _GROUPS
    )
    return tuple(group for group in groups if group.items)


def public(handler: Handler) -> Handler:
    """Marks a page that needs nobody signed in."""
    handler.public = True  # type: ignore[attr-defined]
    return handler


def current_actor(request: web.Request) -> Actor:
    """Who is signed in. Raises SignInNeeded."""
    actor = request.get("actor")
    if not isinstance(actor, Actor):
        raise SignInNeeded("sign in to see this page")
    return actor


def wants_part(request: web.Request) -> bool:
    """Whether our script asks, which takes a dialog or a list out of the answer and needs nothing around it."""
    return _PART_HEADER in request.headers


def render(
    request: web.Request,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    dialog: bool = False,
) -> web.Response:
    """The page. Its template extends `frame.html` (signed in) or `bare.html` (a card in the middle).

    A `dialog` stands in front of a page which cannot be reached meanwhile; our script gets the dialog alone.
    """
    part = dialog and wants_part(request)
    context = {**_shared(request), "modal": dialog, "part": part, **(context or {})}
    response = aiohttp_jinja2.render_template(template, request, context, status=status)
    if NOTICE_COOKIE in request.cookies:
        response.del_cookie(NOTICE_COOKIE, path=request.app[PREFIX])
    return response


def go_to(request: web.Request, path: str, *, notice: str = "") -> web.Response:
    """See other: a path below the prefix, after a form was taken. `notice` is shown there once."""
    response = web.Response(status=303, headers={"Location": request.app[PREFIX] + path})
    if notice:
        response.set_cookie(
            NOTICE_COOKIE,
            quote(notice[:_MAX_NOTICE]),
            path=request.app[PREFIX],
            max_age=60,
            httponly=True,
            samesite="Lax",
            secure=is_https(request),
        )
    return response


def is_https(request: web.Request) -> bool:
    """Whether the visitor came over TLS, as far as whoever handed the request over can tell."""
    return bool(request.get("scheme", request.scheme) == "https")


def local_path(request: web.Request, target: str) -> str:
    """The part of an address behind the prefix; "" for one that leads elsewhere."""
    prefix = request.app[PREFIX]
    below = target.removeprefix(prefix)
    inside = target.startswith(prefix) and (not below or below[0] in "/?")
    plain = all(" " < character < "\x7f" and character != "\\" for character in below)
    return below if inside and plain and not below.startswith("//") else ""


def _shared(request: web.Request) -> dict[str, Any]:
    prefix = request.app[PREFIX]
    actor = request.get("actor")
    theme = request.cookies.get(THEME_COOKIE, "system")
    return {
        "prefix": prefix,
        "here": str(request.rel_url) if request.method == "GET" else request.path,
        "current": request.path.removeprefix(prefix).rstrip("/"),
        "navigation": request.app[NAVIGATION],
        "actor": actor,
        "manager": isinstance(actor, Actor) and is_manager(actor),
        "theme": theme if theme in THEMES else "system",
        "themes": THEMES,
        "notice": unquote(request.cookies.get(NOTICE_COOKIE, ""))[:_MAX_NOTICE],
    }
