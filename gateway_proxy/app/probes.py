"""Looks after providers while nobody asks them anything: those whose settings want it, by a request that costs nothing.

Promises that a provider which does not answer is passed over after two looks, and is back with the first answer. What
is answered does not matter, unless it is a fault of the server.
"""

import asyncio
import random
from collections.abc import Mapping

from gateway_proxy.config import Config, Provider
from gateway_proxy.core.tasks import spawn
from gateway_proxy.dialects.anthropic.version import VERSION_LINE
from gateway_proxy.proxy.links import ProviderLink
from gateway_proxy.proxy.upstream import PoolExhausted, UpstreamError
from gateway_proxy.routing.breaker import Breakers

FAILURES_TO_REST = 2
MAX_ANSWER_BYTES = 1_048_576
_PATHS = {"openai": "/models", "anthropic": "/v1/models?limit=1", "gemini": "/v1beta/models?pageSize=1"}
_HEADERS = {"anthropic": VERSION_LINE}


class Probes:
    """One task a provider that wants it."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._tasks: dict[str, tuple[ProviderLink, Provider, asyncio.Task[None]]] = {}

    def configure(self, config: Config, links: Mapping[str, ProviderLink]) -> None:
        """Begin and end probing as the settings say; what did not change goes on."""
        wanted = {provider.name: provider for provider in config.providers if provider.probe.interval}
        for name, (link, provider, task) in list(self._tasks.items()):
            if links.get(name) is not link or wanted.get(name) != provider:
                task.cancel()
                del self._tasks[name]
                self._breakers.wake(name)
        for name, provider in wanted.items():
            if name not in self._tasks:
                task = spawn(self._watch(provider, links[name]), f"probe {name}")
                self._tasks[name] = (links[name], provider, task)

    async def close(self) -> None:
        """End all of it."""
        tasks = [task for _, _, task in self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, provider: Provider, link: ProviderLink) -> None:
        failures = 0
        while True:
            # Spread, so that gateways which start together do not ask together.
            await asyncio.sleep(provider.probe.interval * random.uniform(0.9, 1.1))
            if await is_alive(provider, link):
                failures = 0
                self._breakers.wake(provider.name)
            else:
                failures += 1
                if failures >= FAILURES_TO_REST:
                    self._breakers.rest(provider.name)


async def is_alive(provider: Provider, link: ProviderLink) -> bool:
    """Whether the provider answers in time, and with anything but 408 or 5xx. A full pool says nothing against it."""
    head = link.encode_bare_head("GET", _path(provider), _HEADERS.get(provider.dialect, b""))
    try:
        async with asyncio.timeout(provider.probe.timeout):
            response = await link.pool.send(head)
            try:
                await response.read_all(MAX_ANSWER_BYTES)
            finally:
                response.close()
    except PoolExhausted:
        return True
    except (UpstreamError, TimeoutError):
        return False
    return response.status < 500 and response.status != 408


def _path(provider: Provider) -> str:
    if provider.probe.path:
        return provider.probe.path
    if provider.dialect != "azure":
        return _PATHS.get(provider.dialect, "/models")
    version = provider.api_version
    return f"/openai/models?api-version={version}" if version else "/openai/v1/models"
