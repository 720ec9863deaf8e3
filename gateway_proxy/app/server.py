"""Serves one gateway on its address: dispatch, TLS, signals, reload, drain."""

import asyncio
import gc
import logging
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from gateway_proxy.app.gateway import Gateway
from gateway_proxy.app.health import Health
from gateway_proxy.config import Config, ConfigError, load_config
from gateway_proxy.config.watch import wait_until_quiet, watch_file
from gateway_proxy.core.errors import BadExchange, GatewayError
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.edge import EdgeRunner, check_request_line
from gateway_proxy.proxy.handler import describe_error
from gateway_proxy.proxy.request import ClientRequest

log = logging.getLogger("gateway_proxy.server")

SETTLE_CONNECTIONS_SECONDS = 0.4
_PROBES = ("/healthz", "/readyz")
_STATUS_CODES = {
    400: ("invalid_request", "The request is not valid HTTP."),
    413: ("body_too_large", "The request is too large."),
}


class Server:
    """One listening gateway. `hosts`, if given, are the only Host values that are served."""

    def __init__(self, gateway: Gateway, *, hosts: Callable[[str], bool] | None = None) -> None:
        self.gateway = gateway
        self._hosts = hosts
        self._health = Health(gateway.describe_readiness)
        self._runner = EdgeRunner(self._dispatch, self._refuse, self._serves, shutdown_timeout=1.0)
        self._site: web.TCPSite | None = None

    async def start(self) -> str:
        """Begin to listen; returns the base URL. Raises OSError when the address cannot be had."""
        await self._runner.setup()
        server = self.gateway.config.server
        context = _make_ssl_context(server.tls.cert, server.tls.key)
        self._site = web.TCPSite(
            self._runner,
            server.listen.host,
            server.listen.port,
            ssl_context=context,
            backlog=1024,
        )
        await self._site.start()
        host, port = self._runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'http' if context is None else 'https'}://{shown}:{port}"

    async def stop(self) -> None:
        """Stop listening, let what runs finish, close the books."""
        self.gateway.draining = True
        if self._site is not None:
            await self._site.stop()
            await asyncio.sleep(SETTLE_CONNECTIONS_SECONDS)
        await self.gateway.close()
        await self._runner.cleanup()

    async def _dispatch(self, request: ClientRequest) -> BaseAnswer:
        if self._hosts is not None and not self._hosts(request.headers.get("Host", "")):
            return self._error(
                BadExchange("This host name is not served here.", code="unknown_host", status=421)
            )
        path = request.raw_path.partition("?")[0]
        if self.gateway.plane.match(path):
            return await self.gateway.plane.handle(request)
        try:
            check_request_line(request)
            if path not in _PROBES:
                raise BadExchange(
                    "There is no such route on this gateway.", code="route_not_found", status=404
                )
            if request.method not in ("GET", "HEAD"):
                refusal = BadExchange("Use GET for this route.", code="method_not_allowed", status=405)
                return self._error(refusal, "allow: GET, HEAD\r\n")
        except BadExchange as error:
            return self._error(error)
        return self._health.check_alive(request) if path == "/healthz" else self._health.check_ready(request)

    def _serves(self, path: str) -> bool:
        return self.gateway.plane.match(path) or path in _PROBES

    def _refuse(self, status: int) -> BaseAnswer:
        """For what is no valid HTTP, and for faults outside the data plane."""
        code, public = _STATUS_CODES.get(status, ("invalid_request", "The request is not valid HTTP."))
        if status >= 500:
            return self._error(GatewayError("The gateway failed on this request."))
        return self._error(BadExchange(public, code=code, status=status))

    def _error(self, error: GatewayError, lines: str = "") -> Answer:
        answer = Answer(
            error.status, lines + describe_error(error), self.gateway.runtime.dialect.error_body(error)
        )
        if error.status == 400:
            answer.force_close()  # where this request ends is not certain
        return answer


def _make_ssl_context(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key)
    return context


async def run(server: Server, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends what still runs. SIGHUP and file changes reload."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    gateway = server.gateway
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, lambda: _on_stop(stop, gateway))
    announce(await server.start())
    gc.collect()
    gc.freeze()  # what is here now stays: the collector need not look at it again and again
    source = gateway.config.source
    watcher = None
    if source is not None:
        loop.add_signal_handler(signal.SIGHUP, lambda: spawn(_reload_on_signal(gateway, source), "reload"))
        watcher = spawn(watch_file(source, lambda: reload(gateway, source)), "watch the settings")
    await stop.wait()
    if watcher is not None:
        watcher.cancel()
    await server.stop()


def _on_stop(stop: asyncio.Event, gateway: Gateway) -> None:
    if stop.is_set():
        gateway.plane.sweeper.end_all()
    stop.set()


async def _reload_on_signal(gateway: Gateway, source: Path) -> None:
    # The file may be being written: half of it, or nothing yet, can be valid settings too.
    await wait_until_quiet(source)
    await reload(gateway, source)


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
