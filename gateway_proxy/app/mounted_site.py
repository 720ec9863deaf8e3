"""Dashboard and admin API inside somebody else's application, in its process, beside a mounted gateway.

The pages follow a reload of the settings; Host check and links keep to the settings that they were mounted with.
"""

import logging
from collections.abc import AsyncIterator
from typing import Any, cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway_proxy.admin.api.app import build_api
from gateway_proxy.admin.links import write_setup_link
from gateway_proxy.admin.problem import Unavailable
from gateway_proxy.admin.services import Admin, build_admin
from gateway_proxy.admin.web_auth import WEB_AUTH, WebAuth
from gateway_proxy.app.inside import Inside, SettingsView
from gateway_proxy.app.mounted import MountedGateway
from gateway_proxy.app.site_relay import find_scheme
from gateway_proxy.config import Config

log = logging.getLogger("gateway_proxy.mounted")


class LiveAdmin:
    """The admin services over the settings in force: made when they are asked for first, and anew after a reload."""

    def __init__(self, mounted: MountedGateway, prefix: str) -> None:
        self._mounted = mounted
        self._prefix = prefix
        self._made: tuple[Config, Admin] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)

    @property
    def current(self) -> Admin:
        """Raises Unavailable while the gateway does not run."""
        try:
            gateway = self._mounted.gateway
        except RuntimeError as error:
            raise Unavailable(str(error), code="store_unavailable") from None
        config = gateway.config
        if self._made is None or self._made[0] is not config:
            view = SettingsView(Inside(gateway).ask, config, gateway.clock)
            admin = build_admin(
                gateway.store,
                self._mounted.pepper,
                gateway.clock,
                config,
                view=view,
                dashboard_url=config.server.public_url + self._prefix,
                data_path=self._mounted.prefix,
            )
            self._made = (config, admin)
        return self._made[1]

    async def offer_setup(self) -> None:
        """A store without members: the link by which its first owner signs up, in a file for nobody else."""
        if not self._mounted.gateway.store.is_joined:
            return  # out of reach
        config = self._mounted.gateway.config
        organization = config.gateway.organization
        link = await self.current.links.ensure_setup_link("default" if organization == "*" else organization)
        path = write_setup_link(config.storage.data_dir, link)
        if link is not None:
            log.warning(
                "nobody can sign in to the dashboard yet: the link for the first owner is in %s", path
            )


def add_site(app: web.Application, prefix: str, api_prefix: str, mounted: MountedGateway) -> None:
    """Serve the pages below `prefix` and the API below `api_prefix`; with `[dashboard] enabled = false` the API alone."""
    live = LiveAdmin(mounted, prefix)
    admin = cast("Admin", live)
    auth = WebAuth(admin, mounted.config.server)
    parts = {api_prefix: build_api(admin, api_prefix)}
    if mounted.config.dashboard.enabled:
        from dashboard.app import build_pages

        parts[prefix] = build_pages(prefix, admin)
        mounted.on_open = live.offer_setup
    for part in parts.values():
        part[WEB_AUTH] = auth
        for middleware in (auth.middleware(), _make_finder(mounted)):
            part.middlewares.insert(0, middleware)
    resources = {place: app.add_subapp(place, part) for place, part in parts.items()}

    async def check_place(_: web.Application) -> AsyncIterator[None]:
        for place, resource in resources.items():
            if resource.canonical != place:
                raise RuntimeError(
                    f"the dashboard was mounted at {place} and is served at {resource.canonical}: mount it into the "
                    "outermost application, where its links lead"
                )
        yield

    app.cleanup_ctx.append(check_place)


def _make_finder(mounted: MountedGateway) -> Middleware:
    @web.middleware
    async def find_facts(request: web.Request, handler: Handler) -> web.StreamResponse:
        """`request["client_ip"]` ("" where it is unknown) and `request["scheme"]`, as the settings' proxies tell."""
        client_ip = mounted.gateway.runtime.client_ip
        address = client_ip.find(request.remote, request.headers)
        request["client_ip"] = "" if address is None else str(address)
        request["scheme"] = find_scheme(request, client_ip)
        return await handler(request)

    return find_facts
