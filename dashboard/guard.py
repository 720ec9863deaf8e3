"""What holds for every answer of the dashboard: security headers, and nobody sees a page without having signed in."""

from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from dashboard.frame import PREFIX
from gateway_proxy.admin.actor import Actor

SIGN_IN_PATH = "/sign-in"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_NOT_KEPT = "no-store"


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: every answer carries the headers, unless its page set one itself; what sets no
    lifetime is not kept."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", _NOT_KEPT)


@web.middleware
async def require_actor(request: web.Request, handler: Handler) -> web.StreamResponse:
    """To the sign-in page without an actor, and back afterwards."""
    page = request.match_info.handler
    if isinstance(request.get("actor"), Actor) or getattr(page, "public", False):
        return await handler(request)
    if request.match_info.http_exception is not None:
        return await handler(request)  # there is no such page, signed in or not
    back = f"?next={quote(str(request.rel_url), safe='')}" if request.method == "GET" else ""
    location = f"{request.app[PREFIX]}{SIGN_IN_PATH}{back}"
    return web.Response(status=303, headers={"Location": location})
