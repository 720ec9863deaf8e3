"""Changes of a key under load: who still serves the former state, and how long after the answer to the administrator."""

import asyncio
import random
import time

import aiohttp

from tests.rig.cluster import Cluster
from tests.rig.history import Change, History, Request
from tests.support.gateway import CreatedKey

__all__ = ["run_changes"]

_BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
KEYS = 4
PAUSE_SECONDS = 0.15  # between changes, for requests to look at what has come of the last one


def run_changes(cluster: Cluster, changes: int, *, rate: int = 200, seed: int = 1) -> History:
    """So many changes, each through the admin API of another gateway, while `rate` requests a second go to all of them."""
    keys = [cluster.create_key(f"push-{number}") for number in range(KEYS)]
    token = cluster.gateways[0].admin_token()
    for gateway in cluster.gateways:  # its admin process starts with the first request
        assert gateway.fetch("/api/v1/me", secret=token)[0] == 200
    return asyncio.run(_Run(cluster, keys, token, rate, seed).go(changes))


class _Run:
    def __init__(self, cluster: Cluster, keys: list[CreatedKey], token: str, rate: int, seed: int) -> None:
        self._origins = [gateway.origin for gateway in cluster.gateways]
        self._keys, self._token, self._rate = keys, token, rate
        self._chance = random.Random(seed)
        self._changing = keys[0]
        self._history = History()

    async def go(self, changes: int) -> History:
        timeout = aiohttp.ClientTimeout(total=30)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            load = asyncio.create_task(self._load(session))
            await asyncio.sleep(0.5)
            for number in range(changes):
                await self._change(session, number)
                await asyncio.sleep(PAUSE_SECONDS)
            load.cancel()
            await asyncio.wait([load])
        return self._history

    async def _load(self, session: aiohttp.ClientSession) -> None:
        """Open loop; two of three requests are of the key that is being changed."""
        begun, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while True:
                key = self._changing if self._chance.random() < 0.67 else self._chance.choice(self._keys)
                group.create_task(self._ask(session, key, number % len(self._origins)))
                number += 1
                await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))

    async def _ask(self, session: aiohttp.ClientSession, key: CreatedKey, gateway: int) -> None:
        sent_at = time.monotonic()
        status, code = 0, ""
        try:
            async with session.post(
                f"{self._origins[gateway]}/v1/chat/completions",
                json=_BODY,
                headers={"authorization": f"Bearer {key.secret}"},
            ) as response:
                status, code = response.status, response.headers.get("x-gateway-error", "")
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self._history.requests.append(Request(key.id, gateway, sent_at, time.monotonic(), status, code))

    async def _change(self, session: aiohttp.ClientSession, number: int) -> None:
        """Off and on again, key after key."""
        allowed = number % 2 == 1
        key = self._changing = self._keys[number // 2 % len(self._keys)]
        act = "activate" if allowed else self._chance.choice(("deactivate", "revoke"))
        origin = self._origins[number // 2 % len(self._origins)]
        asked_at = time.monotonic()
        async with session.post(
            f"{origin}/api/v1/keys/{key.id}/{act}",
            json={},
            headers={"authorization": f"Bearer {self._token}"},
        ) as response:
            answered_at = time.monotonic()
            assert response.status == 200, await response.text()
        self._history.changes.append(Change(key.id, allowed, asked_at, answered_at))
