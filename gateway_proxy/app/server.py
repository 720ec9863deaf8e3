"""Serves one gateway on its address: dispatch, TLS, signals, reload, drain."""

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway_proxy.app.gateway import Gateway
from gateway_proxy.app.health import Health
from gateway_proxy.app.inherited import ADMIN
from gateway_proxy.app.metrics import Metrics
from gateway_proxy.app.process import keep_freed_memory
from gateway_proxy.app.service_manager import ServiceManager
from gateway_proxy.app.shared_listening import SharedSite
from gateway_proxy.app.site_pages import accepts_html, answer_moved
from gateway_proxy.app.site_process import SiteDown, SiteProcess
from gateway_proxy.app.site_relay import Relay
from gateway_proxy.app.winding_down import force, wind_down
from gateway_proxy.config import Config, ConfigError, load_config
from gateway_proxy.config.values import Address
from gateway_proxy.config.watch import wait_until_quiet, watch_file
from gateway_proxy.core.errors import BadExchange, GatewayError, Unavailable
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.edge import EdgeRunner, check_request_line
from gateway_proxy.proxy.handler import describe_error
from gateway_proxy.proxy.request import ClientRequest

log = logging.getLogger("gateway_proxy.server")

LAZY = "GATEWAY_PROXY_LAZY_ADMIN"  # 1: the admin process is started by the first request for it
BACKLOG = 1024
_PROBES = ("/healthz", "/readyz")
_METRICS = "/metrics"
_DASHBOARD = "/dashboard"
_ONE_PROCESS = "SIGUSR2 restarts workers one after the other, and this gateway is one process: stop it and start it again"
_STATUS_CODES = {
    400: ("invalid_request", "The request is not valid HTTP."),
    413: ("body_too_large", "The request is too large."),
    414: ("target_too_large", "The request target is too long."),
    431: ("headers_too_large", "The request's headers are too large, or too many."),
}


class Server:
    """One listening gateway. `hosts`, if given, are the only Host values that are served. `inherited` are sockets that
    listen already, for "listen" and for "admin".

    Without a `site` there is neither dashboard nor admin API.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        site: SiteProcess | None = None,
        hosts: Callable[[str], bool] | None = None,
        inherited: Mapping[str, Sequence[socket.socket]] | None = None,
    ) -> None:
        self.gateway = gateway
        self.site = site
        self.admin_url = ""  # of dashboard and admin API, once they are served
        self._hosts = hosts
        self._inherited = inherited or {}
        self._health = Health(gateway.describe_readiness)
        self._metrics = Metrics(gateway, site)
        self._part = gateway.part
        if site is not None:
            self._relay: Relay | None = Relay(site.connect)
            self._part.on_visitor = functools.partial(_let_in, site)
        else:
            self._relay = None if self._part.is_first else Relay(self._part.connect_site)
        self._runner = EdgeRunner(self.dispatch, self._refuse, self._serves, shutdown_timeout=1.0)
        self._runners = [self._runner]
        self._sites: list[web.BaseSite] = []
        self._admin_is_apart = False  # on an address of its own

    async def start(self) -> str:
        """Begin to listen; returns the base URL. Raises OSError when an address cannot be had."""
        server = self.gateway.config.server
        url = await self._listen(self._runner, server.listen, "listen")
        if self.site is not None:
            self.gateway.on_applied = self.site.tell_settings
        if self._relay is not None:
            self.admin_url = url
            if server.admin_listen is not None:
                self._admin_is_apart = True
                runner = EdgeRunner(
                    self._dispatch_admin, self._refuse, self._serves_admin, shutdown_timeout=1.0
                )
                self._runners.append(runner)
                self.admin_url = await self._listen(runner, server.admin_listen, ADMIN)
        return url

    async def _listen(self, runner: EdgeRunner, address: Address, name: str) -> str:
        await runner.setup()
        tls = self.gateway.config.server.tls
        context = _make_ssl_context(tls.cert, tls.key)
        taken = self._inherited.get(name, ())
        sites: list[web.BaseSite] = [
            SharedSite(runner, one, context)
            if self._part.is_led
            else web.SockSite(runner, one, ssl_context=context, backlog=BACKLOG)
            for one in taken
        ]
        for site in sites or [
            web.TCPSite(runner, address.host, address.port, ssl_context=context, backlog=BACKLOG)
        ]:
            await site.start()
            self._sites.append(site)
        host, port = (taken[0].getsockname() if taken else runner.addresses[0])[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'http' if context is None else 'https'}://{shown}:{port}"

    async def stop(self) -> None:
        """Let clients go elsewhere and what runs finish, all within `drain_seconds`; close the books."""
        self.gateway.draining = True
        ends_at = asyncio.get_running_loop().time() + self.gateway.config.server.drain_seconds
        if self._sites:
            edges = [runner.edge for runner in self._runners]
            # Whoever has the listening socket too queues those who come now for the next process.
            at_once = bool(self._inherited.get("listen")) and (not self._part.is_led or self._part.hands_over)
            await wind_down(edges, self._sites, ends_at, self.gateway.plane.match, at_once=at_once)
        endings = [self.gateway.close(max(0.0, ends_at - asyncio.get_running_loop().time()))]
        if self.site is not None:
            endings.append(self.site.stop())
        await asyncio.gather(*endings)
        if self._relay is not None:
            await self._relay.close()
        for runner in self._runners:
            await runner.cleanup()

    async def dispatch(self, request: ClientRequest) -> BaseAnswer:
        """The answer to any request for the address of the data plane, whoever read it from its socket."""
        if self._hosts is not None and not self._hosts(request.headers.get("Host", "")):
            return self._refuse_host()
        path = request.raw_path.partition("?")[0]
        if self.gateway.plane.match(path):
            return await self.gateway.plane.handle(request)
        return await self._answer_others(request, path, admin=not self._admin_is_apart)

    async def _dispatch_admin(self, request: ClientRequest) -> BaseAnswer:
        """Of the address of its own: no data plane there."""
        if self._hosts is not None and not self._hosts(request.headers.get("Host", "")):
            return self._refuse_host()
        return await self._answer_others(request, request.raw_path.partition("?")[0], admin=True)

    async def _answer_others(self, request: ClientRequest, path: str, *, admin: bool) -> BaseAnswer:
        try:
            check_request_line(request)
            if path in _PROBES or (path == _METRICS and admin):
                return await self._answer_operator(request, path)
            if admin and self._relay is not None:
                if self._is_admin(path):
                    return await self._relay.answer(request, self.gateway.runtime.client_ip)
                is_page = path == "/" and request.method == "GET" and accepts_html(request.headers)
                if is_page and self.gateway.config.dashboard.enabled:
                    return answer_moved(_DASHBOARD)
            raise BadExchange("There is no such route on this gateway.", code="route_not_found", status=404)
        except GatewayError as error:
            return self._error(error)

    def _is_admin(self, path: str) -> bool:
        below = path.partition("/")[2].partition("/")[0]
        return below == "api" or (below == "dashboard" and self.gateway.config.dashboard.enabled)

    async def _answer_operator(self, request: ClientRequest, path: str) -> BaseAnswer:
        if request.method not in ("GET", "HEAD"):
            refusal = BadExchange("Use GET for this route.", code="method_not_allowed", status=405)
            return self._error(refusal, "allow: GET, HEAD\r\n")
        if path == "/healthz":
            return self._health.check_alive()
        if path == "/readyz":
            return self._health.check_ready(with_details=await self._may_see_details(request))
        if not await self.gateway.access.admits(request):
            raise BadExchange(
                "Metrics are for this machine itself, and for an admin token that may read here.",
                code="admin_token_required",
                status=401,
            )
        return await self._metrics.answer(request)

    async def _may_see_details(self, request: ClientRequest) -> bool:
        try:
            return await self.gateway.access.admits(request)
        except Unavailable:
            return False

    def _refuse_host(self) -> Answer:
        refusal = BadExchange("This host name is not served here.", code="unknown_host", status=421)
        return self._error(refusal)

    def _serves(self, path: str) -> bool:
        """Whether our own front may; aiohttp takes what nobody serves, to refuse it."""
        if self.gateway.plane.match(path) or path in _PROBES or path == _METRICS:
            return True
        return not self._admin_is_apart and self._serves_admin(path)

    def _serves_admin(self, path: str) -> bool:
        return self._relay is not None and self._is_admin(path)

    def _refuse(self, status: int) -> BaseAnswer:
        """For what is no valid HTTP, and for faults outside the data plane."""
        code, public = _STATUS_CODES.get(status, ("invalid_request", "The request is not valid HTTP."))
        if status >= 500:
            return self._error(GatewayError("The gateway failed on this request."))
        return self._error(BadExchange(public, code=code, status=status))

    def _error(self, error: GatewayError, lines: str = "") -> Answer:
        answer = Answer(
            error.status,
            lines + describe_error(error),
            self.gateway.runtime.dialects["openai"].error_body(error, ""),
        )
        if error.status in (400, 501):
            answer.force_close()  # where this request ends is not certain
        return answer


def _let_in(site: SiteProcess, visitor: socket.socket) -> None:
    """A connection that another worker has for the admin process."""

    async def hand_over() -> None:
        with contextlib.suppress(SiteDown):  # the other end sees that nobody answers
            await site.hand_over(visitor)

    spawn(hand_over(), "let a visitor in")


def _make_ssl_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


async def run(server: Server, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; at a second one the process ends at once. SIGHUP and file changes reload.

    A worker hears the same from its supervisor instead.
    """
    stop = asyncio.Event()
    gateway = server.gateway
    source = gateway.config.source
    manager = ServiceManager()
    _obey(gateway, stop, functools.partial(_reload_on_signal, gateway, source, manager))
    announce(await server.start())
    gateway.part.tell_ready()
    manager.tell("READY=1", "STATUS=Serving.")
    watchdog = spawn(manager.keep_alive(), "tell the watchdog")
    if server.site is not None and os.environ.get(LAZY) != "1":
        server.site.begin()
    keep_freed_memory()
    gc.collect()
    gc.freeze()  # what is here now stays: the collector need not look at it again and again
    gc.set_threshold(20_000, 20, 20)  # requests leave next to no cycles, so looking for them rarely is enough
    watcher = None
    if source is not None:
        watcher = spawn(watch_file(source, lambda: reload(gateway, source)), "watch the settings")
    await stop.wait()
    if watcher is not None:
        watcher.cancel()
    manager.tell("STOPPING=1", "STATUS=Finishing what runs.")
    await server.stop()
    watchdog.cancel()


def _obey(
    gateway: Gateway, stop: asyncio.Event, reload_on_signal: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    def end() -> None:
        if stop.is_set():
            spawn(force(gateway), "end at once")
        stop.set()

    def hang_up() -> None:
        spawn(reload_on_signal(), "reload")

    part, loop = gateway.part, asyncio.get_running_loop()
    if part.count > 1:
        part.on_stop, part.on_reload = end, hang_up
        if part.must_stop:  # it was told while it started
            end()
        return
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, end)
    loop.add_signal_handler(signal.SIGUSR2, log.warning, _ONE_PROCESS)
    if gateway.config.source is not None:
        loop.add_signal_handler(signal.SIGHUP, hang_up)


async def _reload_on_signal(gateway: Gateway, source: Path | None, manager: ServiceManager) -> None:
    if source is None:
        return
    manager.tell_reloading()
    # The file may be being written: half of it, or nothing yet, can be valid settings too.
    await wait_until_quiet(source)
    await reload(gateway, source)
    manager.tell("READY=1")


async def reload(gateway: Gateway, source: Path) -> None:
    """Read the file and put it in force; on any mistake nothing changes and the log says why."""
    async with gateway.reloading:
        try:
            config: Config = await asyncio.to_thread(load_config, source)
            if config.digest != gateway.config.digest:
                await gateway.apply(config)
            gateway.reload_error = ""
        except ConfigError as error:
            gateway.reload_error = str(error)
            for mistake in error.mistakes:
                log.error("the new configuration is not used: %s", mistake)
        except (ValueError, OSError) as error:
            gateway.reload_error = str(error)
            log.error("the new configuration is not used: %s", error)
