"""The door of the admin site: which Host is ours, who asks, and whether a browser was tricked into asking.

The middleware sets `request["actor"]` (None when signed out) from an admin token or the session cookie. It refuses a
foreign Host (DNS rebinding) and forged requests (CSRF, by the Fetch Metadata headers and Origin:
https://www.w3.org/TR/fetch-metadata/), and does not let sessions run over plain HTTP beyond this machine. What an
actor may do is decided by the services.
"""

from html import escape
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.addresses import LOOPBACK_NAMES, host_checker, split_host
from gateway_proxy.admin.api.answers import problem_response
from gateway_proxy.admin.problem import NotAllowed, Problem, Unavailable
from gateway_proxy.admin.services import Admin
from gateway_proxy.admin.sessions import ABSOLUTE_MS
from gateway_proxy.config.model import Server
from gateway_proxy.proxy.client_ip import parse_ip
from gateway_proxy.storage.database import StoreError

SECURE_COOKIE = "__Host-gateway"
LOOPBACK_COOKIE = "gateway_session"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
_PLAIN_HTTP = (
    "You came over plain HTTP, so a password or session could be read on its way. Do one of these and open the page"
    " again over https: set [server] tls to a certificate and key; or put a proxy with TLS in front and set"
    ' [server] public_url = "https://…" to its address, or trusted_proxies to its network if it sends'
    " X-Forwarded-Proto. On the gateway's own machine http://127.0.0.1 and http://localhost work as they are."
)


class UnknownHost(Problem):
    """The Host header is none of ours."""

    status = 421
    code = "unknown_host"
    title = "Unknown host"


class WebAuth:
    """Settings of the door. `scheme` and `client_ip` are read from the request where the site has set them."""

    def __init__(self, admin: Admin, server: Server) -> None:
        self._admin = admin
        self._is_our_host = host_checker(server)
        public = urlsplit(server.public_url)
        self._public_host = split_host(public.netloc) if public.netloc else None
        self._public_scheme = public.scheme

    def middleware(self) -> Middleware:
        """For the application that holds the API and the dashboard."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                await self.admit(request)
            except Problem as problem:
                return answer_problem(request, problem)
            except StoreError as error:
                return answer_problem(request, Unavailable(str(error), code="store_unavailable"))
            return await handler(request)

        return guard

    async def admit(self, request: web.Request) -> None:
        """Set `request["actor"]`. Raises Problem."""
        request["actor"] = None
        if not self._is_our_host(request.headers.get("Host", "")):
            raise UnknownHost(
                "this host name is not served here; add it to [server] allowed_hosts, or set public_url"
            )
        authorization = request.headers.get("Authorization", "")
        kind, _, secret = authorization.partition(" ")
        if kind.lower() == "bearer":
            # With a token no cookie counts: whoever can set this header was not tricked.
            request["actor"] = await self._admin.tokens.authenticate(secret.strip(), find_ip(request))
            return
        cookie_name = self.find_cookie_name(request)
        if cookie_name is None:
            if not _is_api(request):
                raise NotAllowed(_PLAIN_HTTP, code="https_needed")
            return
        cookie = request.cookies.get(cookie_name, "")
        if request.method not in _SAFE_METHODS:
            self._refuse_forgery(request, has_cookie=bool(cookie))
        if cookie:
            request["actor"] = await self._admin.sessions.authenticate(cookie, find_ip(request))

    def find_cookie_name(self, request: web.Request) -> str | None:
        """The cookie that may carry a session here; None over plain HTTP that others could read."""
        if self._is_secure(request):
            return SECURE_COOKIE
        return LOOPBACK_COOKIE if self._is_loopback(request) else None

    def describe_cookie(self, request: web.Request) -> tuple[str, bool]:
        """The cookie's name and whether it is Secure. Raises NotAllowed where none may be set."""
        name = self.find_cookie_name(request)
        if name is None:
            raise NotAllowed(_PLAIN_HTTP, code="https_needed")
        return name, name == SECURE_COOKIE

    def set_cookie(self, request: web.Request, response: web.StreamResponse, value: str) -> None:
        """Hand out the session."""
        name, secure = self.describe_cookie(request)
        age = ABSOLUTE_MS // 1000
        response.set_cookie(name, value, max_age=age, path="/", httponly=True, samesite="Lax", secure=secure)

    def clear_cookie(self, request: web.Request, response: web.StreamResponse) -> None:
        """Take the session back."""
        name, secure = self.describe_cookie(request)
        response.del_cookie(name, path="/", httponly=True, samesite="Lax", secure=secure)

    def _refuse_forgery(self, request: web.Request, *, has_cookie: bool) -> None:
        """A browser says where a request comes from; one that says nothing is refused if it brings a session."""
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is not None:
            is_own = site in ("same-origin", "none")
        elif origin is not None:
            is_own = split_host(origin.partition("://")[2]) in (split_host(request.host), self._public_host)
        else:
            is_own = not has_cookie
        if not is_own:
            raise NotAllowed(
                "this request came from another site; open the page itself and try again", code="cross_site"
            )

    def _is_secure(self, request: web.Request) -> bool:
        if request.get("scheme", request.scheme) == "https":
            return True
        # The operator says that people come by https: then a proxy in front of us has ended TLS.
        return self._public_scheme == "https" and split_host(request.host) == self._public_host

    def _is_loopback(self, request: web.Request) -> bool:
        host = split_host(request.host)
        if host[0] not in LOOPBACK_NAMES:
            return False
        if host == self._public_host:
            return True  # said by the operator, such as for a port that a container publishes on this machine
        address = parse_ip(find_ip(request))
        forwarded = any(name in request.headers for name in _FORWARDED)
        return address is not None and address.is_loopback and not forwarded


WEB_AUTH = web.AppKey("web_auth", WebAuth)
"""Where the application keeps it, for pages that sign people in and out."""


def find_ip(request: web.Request) -> str:
    """The client's address: what the site found out, else the peer's; "" if unknown."""
    return str(request.get("client_ip", request.remote or "") or "")


def find_web_auth(request: web.Request) -> WebAuth:
    """The door that this request came through."""
    return request.config_dict[WEB_AUTH]


def find_actor(request: web.Request) -> Actor | None:
    """Who asks; None when signed out."""
    actor = request.get("actor")
    return actor if isinstance(actor, Actor) else None


def answer_problem(request: web.Request, problem: Problem) -> web.Response:
    """The problem as JSON below /api, else as a plain page."""
    if _is_api(request):
        return problem_response(problem)
    headers = {"cache-control": "no-store"}
    headers["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'"
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(problem.title)}</title>'
        f"<h1>{escape(problem.title)}</h1><p>{escape(problem.detail)}</p></html>"
    )
    return web.Response(text=text, status=problem.status, content_type="text/html", headers=headers)


def _is_api(request: web.Request) -> bool:
    return request.path.startswith("/api/") or "/api/v1/" in request.path
