"""The admin application: `/api/v1` and `/dashboard` as one aiohttp application over an open store.

It knows requests only as the gateway hands them over: the client's address and scheme come in headers that the
gateway sets and no client can. Serving it is `site_main`'s, handing requests over `site_relay`'s.
"""

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway_proxy.admin.api.app import mount as mount_api
from gateway_proxy.admin.gateway_view import GatewayView
from gateway_proxy.admin.services import build_admin
from gateway_proxy.admin.web_auth import WEB_AUTH, WebAuth
from gateway_proxy.app.site_facts import CLIENT_IP, SCHEME
from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import Store

MAX_BODY_BYTES = 16 * 1024 * 1024


def build_site(
    config: Config, store: Store, pepper: bytes, clock: Clock, view: GatewayView
) -> web.Application:
    """The whole admin side. The store stays the caller's, who also closes it."""
    admin = build_admin(store, pepper, clock, config, view=view)
    auth = WebAuth(admin, config.server)
    app = web.Application(middlewares=[_take_facts, auth.middleware()], client_max_size=MAX_BODY_BYTES)
    app[WEB_AUTH] = auth
    app.on_response_prepare.append(_sign)
    mount_api(app, admin)
    if config.dashboard.enabled:
        from dashboard.app import mount as mount_dashboard

        mount_dashboard(app, "/dashboard", admin)
    return app


@web.middleware
async def _take_facts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """`request["client_ip"]` ("" where it is unknown) and `request["scheme"]`."""
    request["client_ip"] = request.headers.get(CLIENT_IP, "")
    request["scheme"] = request.headers.get(SCHEME, "http")
    return await handler(request)


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "gateway-proxy"  # else aiohttp tells its version and Python's
