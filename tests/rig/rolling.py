"""One gateway after the other is restarted under streams: a front that asks for readiness sees no stream fail."""

import asyncio
import dataclasses
import random
import time
from collections import Counter

import aiohttp

from tests.rig.cluster import Cluster
from tests.support.client import CHAT, chat_body
from tests.support.gateway import CreatedKey

__all__ = ["Rolled", "roll"]

HEALTH_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Rolled:
    """`outcomes` counts streams by how they ended; `exits` are exit codes, `drains` seconds from SIGTERM to the end."""

    outcomes: Counter[str]
    exits: list[int]
    drains: list[float]

    @property
    def failed(self) -> int:
        return self.outcomes.total() - self.outcomes["whole"]


def roll(cluster: Cluster, *, streams: int, longest_seconds: float, seed: int = 1) -> Rolled:
    """All gateways once. `streams` run at once, each up to so long."""
    return asyncio.run(_Front(cluster, cluster.create_key("rolling"), longest_seconds, seed).run(streams))


class _Front:
    """Sends each stream to a gateway that was ready at the last look; one that takes no connection is left for another."""

    def __init__(self, cluster: Cluster, key: CreatedKey, longest_seconds: float, seed: int) -> None:
        self._cluster, self._key, self._longest_seconds = cluster, key, longest_seconds
        self._chance = random.Random(seed)
        self._ready = [gateway.origin for gateway in cluster.gateways]
        self._stopping = False
        self._outcomes: Counter[str] = Counter()

    async def run(self, streams: int) -> Rolled:
        exits, drains = [], []
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=self._longest_seconds * 3 + 30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            looking = asyncio.create_task(self._look(session))
            working = [asyncio.create_task(self._work(session)) for _ in range(streams)]
            await asyncio.sleep(min(2.0, self._longest_seconds))
            for gateway in self._cluster.gateways:
                begun = time.monotonic()
                exits.append(await asyncio.to_thread(gateway.stop, 60))
                drains.append(time.monotonic() - begun)
                gateway.spawn()  # from the main thread, which runs this loop
                await asyncio.to_thread(gateway.wait_until_ready)
                await asyncio.sleep(2 * HEALTH_SECONDS)
            self._stopping = True
            await asyncio.gather(*working)
            looking.cancel()
            await asyncio.wait([looking])
        return Rolled(self._outcomes, exits, drains)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        while True:
            origins = [gateway.origin for gateway in self._cluster.gateways]
            answers = await asyncio.gather(*(self._is_ready(session, origin) for origin in origins))
            self._ready = [origin for origin, ready in zip(origins, answers, strict=True) if ready]
            await asyncio.sleep(HEALTH_SECONDS)

    async def _is_ready(self, session: aiohttp.ClientSession, origin: str) -> bool:
        try:
            headers = {"connection": "close"}
            async with session.get(
                f"{origin}/readyz", headers=headers, timeout=aiohttp.ClientTimeout(total=5)
            ) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while not self._stopping:
            if not self._ready:
                await asyncio.sleep(HEALTH_SECONDS)
                continue
            outcome = await self._stream(session, self._chance.choice(self._ready))
            if outcome:
                self._outcomes[outcome] += 1

    async def _stream(self, session: aiohttp.ClientSession, origin: str) -> str:
        """How it ended; "" where there was no connection to be had, which a front answers by trying another gateway."""
        tokens = 20
        delay_ms = round(1000 * self._chance.uniform(0.2, 0.9) * self._longest_seconds / tokens)
        body = chat_body(f"tokens={tokens} delay_ms={delay_ms}", stream=True, max_tokens=tokens)
        try:
            async with session.post(
                origin + CHAT, json=body, headers={"authorization": f"Bearer {self._key.secret}"}
            ) as response:
                if response.status != 200:
                    return f"{response.status} {response.headers.get('x-gateway-error', '')}"
                text = await response.read()
                return "whole" if b"data: [DONE]" in text else "broken"
        except aiohttp.ClientConnectorError:
            return ""
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            return type(error).__name__
