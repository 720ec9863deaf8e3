"""A gateway inside somebody else's aiohttp application: it lives and ends with it, and serves below a prefix.

Promises that requests pass the same pipeline as at a gateway of its own. Who listens, TLS, signals and connections are
the application's; `[server] listen`, `admin_listen` and `tls` mean nothing here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from weakref import WeakSet

from aiohttp import web

from gateway_proxy.app.gateway import Gateway
from gateway_proxy.app.opening import opened_store
from gateway_proxy.app.server import Server, reload
from gateway_proxy.config import Config
from gateway_proxy.config.watch import watch_file
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.tasks import spawn
from gateway_proxy.proxy.answers import Answer
from gateway_proxy.proxy.handler import describe_error
from gateway_proxy.proxy.prefixed import adopt, strip_prefix

TAIL = "/{tail:.+}"
_TAIL_SHOWN = "/{tail}"
_in_loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()  # those that have a gateway


class MountedGateway:
    """What `gateway_proxy.mount` returns. `gateway` can be asked for while the application runs."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.prefix = ""  # as it was mounted
        self.pepper = b""
        self.on_open: Callable[[], Awaitable[None]] | None = None
        self._gateway: Gateway | None = None
        self._server: Server | None = None

    @property
    def gateway(self) -> Gateway:
        """Raises RuntimeError before the application has started and after it has ended."""
        if self._gateway is None:
            raise RuntimeError(
                "the gateway runs while the application does: after its startup, before its cleanup"
            )
        return self._gateway

    async def live(self, _: web.Application) -> AsyncIterator[None]:
        """For `cleanup_ctx`. Raises what opening a gateway raises, and RuntimeError for a second one in this loop."""
        loop = asyncio.get_running_loop()
        if loop in _in_loops:
            raise RuntimeError(
                "a gateway runs in this event loop already; mount one, and give it the providers of both"
            )
        _in_loops.add(loop)
        try:
            async with opened_store(self.config) as (store, self.pepper):
                gateway = Gateway(self.config, store, self.pepper)
                await gateway.open()
                watcher = self._watch(gateway)
                self._gateway, self._server = gateway, Server(gateway)
                try:
                    if self.on_open is not None:
                        await self.on_open()
                    yield
                finally:
                    if watcher is not None:
                        watcher.cancel()
                    await gateway.close()
                    self._gateway = self._server = None
        finally:
            _in_loops.discard(loop)

    def _watch(self, gateway: Gateway) -> asyncio.Task[Any] | None:
        source = gateway.config.source
        if source is None:
            return None
        return spawn(watch_file(source, lambda: reload(gateway, source)), "watch the settings")

    async def drain(self, _: web.Application) -> None:
        """For `on_shutdown`: nobody connects any more; running exchanges may finish for `drain_seconds`."""
        if self._gateway is not None:
            await self._gateway.drain()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Every request below the prefix that no route of the application takes."""
        if self._server is None:
            raise web.HTTPServiceUnavailable(text="The gateway does not run yet, or not any more.")
        resource = request.match_info.route.resource
        assert resource is not None
        # Of now: the application itself may have been added to another one below a further prefix.
        prefix = resource.canonical.removesuffix(_TAIL_SHOWN)
        try:
            stripped = strip_prefix(request, prefix)
        except BadExchange as error:
            body = self.gateway.runtime.dialects["openai"].error_body(error, "")
            return adopt(Answer(error.status, describe_error(error), body))
        # A task of its own: an application that cancels the handlers of clients who left must not decide whether the
        # rest of an answer is drained, which is the sweeper's to say.
        task = spawn(self._server.dispatch(stripped), "serve a mounted request")
        try:
            return adopt(await asyncio.shield(task))
        except asyncio.CancelledError:
            if (
                request.transport is not None
            ):  # somebody else wants the connection, so it must be ours no longer
                task.cancel()
                await asyncio.wait((task,))
            raise


async def expect_later(_: web.Request) -> None:
    """`Expect: 100-continue` is answered by the gateway itself, once it wants the body."""
