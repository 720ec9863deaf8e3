"""Rotations under load: whether the new secret is served everywhere once it is live, and the old one only as long as it may.

What is judged is when a request was sent and answered; a request that overlaps a change proves nothing.
"""

import asyncio
import dataclasses
import random
import time

import aiohttp

from tests.rig.cluster import Cluster
from tests.support.client import CHAT, chat_body

__all__ = ["Rotated", "run_rotations"]

KEYS = 8
GRACE_SECONDS = 1
_REST_SECONDS = GRACE_SECONDS + 0.8  # between two rotations of one key: the old secret is seen to end
_PAUSE_SECONDS = 0.05
_BODY = chat_body(max_tokens=2)


@dataclasses.dataclass(eq=False)
class _Secret:
    """A secret and when it is surely served (`live_at` … `ending_at`), and surely not any more (`ended_at`)."""

    text: str
    live_at: float
    ending_at: float = float("inf")
    ended_at: float = float("inf")


@dataclasses.dataclass
class Rotated:
    """What clients saw. `lags`: how long after its end an old secret was still served, in seconds, of each such request."""

    rotations: int = 0
    waited: int = 0  # answers to the administrator that came before every gateway had the new secret
    served: int = 0  # by a secret that had to be
    refused: int = 0  # although it had to be served: none is right
    ended: int = 0  # refusals of an old secret after its end
    odd: int = 0  # any other answer
    lags: list[float] = dataclasses.field(default_factory=list)

    def judge(self, secret: _Secret, sent_at: float, answered_at: float, status: int) -> None:
        if status not in (200, 401):
            self.odd += 1
        elif secret.live_at <= sent_at and answered_at <= secret.ending_at:
            self.served += status == 200
            self.refused += status == 401
        elif sent_at > secret.ended_at:
            self.ended += status == 401
            if status == 200:
                self.lags.append(sent_at - secret.ended_at)


def run_rotations(cluster: Cluster, count: int, *, rate: int = 100, seed: int = 1) -> Rotated:
    """So many rotations, every second one with grace, each through another gateway, under `rate` requests a second on all."""
    made = [cluster.create_key(f"rotated-{number}") for number in range(KEYS)]
    token = cluster.gateways[0].admin_token()
    for gateway in cluster.gateways:  # its admin process starts with the first request
        assert gateway.fetch("/api/v1/me", secret=token)[0] == 200
    begun = time.monotonic() - _REST_SECONDS
    keys = [(key.id, [_Secret(key.secret, begun)]) for key in made]
    return asyncio.run(_Run(cluster, keys, token, rate, seed).go(count))


class _Run:
    def __init__(
        self, cluster: Cluster, keys: list[tuple[str, list[_Secret]]], token: str, rate: int, seed: int
    ) -> None:
        self._origins = [gateway.origin for gateway in cluster.gateways]
        self._keys, self._rate = keys, rate
        self._admin = {"authorization": f"Bearer {token}"}
        self._chance = random.Random(seed)
        self._seen: list[tuple[_Secret, float, float, int]] = []
        self._rotated = Rotated()

    async def go(self, count: int) -> Rotated:
        timeout = aiohttp.ClientTimeout(total=30)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            load = asyncio.create_task(self._load(session))
            for number in range(count):
                await self._rotate(session, number)
                await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(_REST_SECONDS)
            load.cancel()
            await asyncio.wait([load])
        for seen in self._seen:
            self._rotated.judge(*seen)
        return self._rotated

    async def _load(self, session: aiohttp.ClientSession) -> None:
        """Open loop; of any key, with its present secret or with the one before."""
        begun, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while True:
                _, secrets = self._chance.choice(self._keys)
                group.create_task(self._ask(session, self._chance.choice(secrets[-2:]), number))
                number += 1
                await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))

    async def _ask(self, session: aiohttp.ClientSession, secret: _Secret, number: int) -> None:
        url = self._origins[number % len(self._origins)] + CHAT
        sent_at = time.monotonic()
        try:
            async with session.post(
                url, json=_BODY, headers={"authorization": f"Bearer {secret.text}"}
            ) as response:
                status = response.status
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self._seen.append((secret, sent_at, time.monotonic(), status))

    async def _rotate(self, session: aiohttp.ClientSession, number: int) -> None:
        key_id, secrets = self._keys[number % len(self._keys)]
        old = secrets[-1]
        await asyncio.sleep(max(0.0, old.live_at + _REST_SECONDS - time.monotonic()))
        grace = GRACE_SECONDS if self._chance.random() < 0.5 else 0
        url = f"{self._origins[number % len(self._origins)]}/api/v1/keys/{key_id}"
        old.ending_at = time.monotonic() + grace
        async with session.post(
            f"{url}/rotate", json={"grace_seconds": grace}, headers=self._admin
        ) as response:
            answer = await response.json()
            assert response.status == 201, answer
        old.ended_at = time.monotonic() + grace
        live_on = answer["key"]["live_on"]
        self._rotated.waited += live_on["acked"] < live_on["gateways"]
        while live_on["acked"] < live_on["gateways"]:  # a busy machine takes longer than an answer waits
            async with session.get(url, headers=self._admin) as response:
                live_on = (await response.json())["live_on"]
        secrets.append(_Secret(answer["secret"], time.monotonic()))
        self._rotated.rotations += 1
