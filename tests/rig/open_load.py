"""Requests at a steady rate, of several keys to all gateways in turn, whatever becomes of them; each answer is recorded."""

import asyncio
import time
from collections.abc import Mapping
from types import TracebackType

import aiohttp

from tests.rig.cluster import Cluster
from tests.rig.history import Request
from tests.support.client import CHAT, chat_body

__all__ = ["OpenLoad"]

_BODY = chat_body(max_tokens=4)


class OpenLoad:
    """`rate` a second while the context lasts. `secrets` by the name that a `Request` has as its key."""

    def __init__(self, cluster: Cluster, secrets: Mapping[str, str], rate: int) -> None:
        self._urls = [gateway.origin + CHAT for gateway in cluster.gateways]
        self._secrets = list(secrets.items())
        self._rate = rate
        self.requests: list[Request] = []

    async def __aenter__(self) -> "OpenLoad":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=30),
            trust_env=False,
        )
        self._stopping = False
        self._load = asyncio.create_task(self._send())
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stopping = True
        await self._load
        await self._session.close()

    def find(
        self, key: str, begin: float, end: float = float("inf"), gateway: int | None = None
    ) -> list[Request]:
        """Those of a key that were sent after `begin` and answered before `end`."""
        return [
            one
            for one in self.requests
            if one.key == key
            and begin <= one.sent_at
            and one.answered_at <= end
            and gateway in (None, one.gateway)
        ]

    async def _send(self) -> None:
        begun, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                name, secret = self._secrets[number % len(self._secrets)]
                group.create_task(self._ask(name, secret, number // len(self._secrets) % len(self._urls)))
                number += 1
                await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))

    async def _ask(self, name: str, secret: str, gateway: int) -> None:
        sent_at, status, code = time.monotonic(), 0, ""
        headers = {"authorization": f"Bearer {secret}"}
        try:
            async with self._session.post(self._urls[gateway], json=_BODY, headers=headers) as response:
                status, code = response.status, response.headers.get("x-gateway-error", "")
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self.requests.append(Request(name, gateway, sent_at, time.monotonic(), status, code))
