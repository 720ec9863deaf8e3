"""A rate over four gateways that are asked for ten times as much, while Redis is killed and comes back empty.

What is counted in a window was surely admitted in it: sent after its begin and answered before its end. Meanwhile without Redis each
gateway goes on with its part of what it last heard of the bucket, which is a moment old.
"""

import asyncio
import time
from bisect import bisect_left

import aiohttp

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.support.client import CHAT, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey
from tests.support.postgres import run_postgres
from tests.support.redis import RedisServer, run_redis

GATEWAYS = 4
PER_SECOND, BURST = 10, 60
EXCESS = 10  # times as much as is allowed
LOCAL = 10  # requests that the parts may be ahead of what all of them have
SECONDS, SHORT_SECONDS = 300.0, 30.0
WINDOW_SECONDS, SHORT_WINDOW_SECONDS = 60.0, 5.0
AWAY = (0.4, 0.6)  # of the whole time
BACK_SECONDS = 5.0  # until all is as before
LEAST_PERCENT = 97.0
_BODY = chat_body(max_tokens=2)


def run(short: bool) -> list[Figure]:
    """The long form takes five minutes and a half."""
    seconds = SHORT_SECONDS if short else SECONDS
    window = SHORT_WINDOW_SECONDS if short else WINDOW_SECONDS
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        with Cluster(asyncio.run(server.make_store()), redis.url, provider, gateways=GATEWAYS) as cluster:
            key = cluster.create_key("rate", requests_per_minute=60 * PER_SECOND, burst=BURST)
            saturation = _Saturation(cluster, key, redis)
            asyncio.run(saturation.go(seconds))
    killed, back = saturation.killed_at, saturation.back_at
    allowed = round(BURST + PER_SECOND * window)
    most = saturation.find_most(window)
    calm = max(saturation.find_most(window, 0, killed), saturation.find_most(window, back + BACK_SECONDS))
    # The bucket is full at the begin, and again when an empty server knows nothing of it: what fills up counts, not what was there.
    used = min(
        saturation.use(BURST / PER_SECOND, killed), saturation.use(back + BACK_SECONDS, saturation.ended_at)
    )
    name = f"{seconds:.0f} s at {EXCESS} times the limit on {GATEWAYS} gateways: "
    return [
        Figure(name + f"most in any {window:.0f} s with Redis there", allowed, calm, "requests", calm <= allowed),
        Figure(name + f"most in any {window:.0f} s at all", allowed + LOCAL, most, "requests", most <= allowed + LOCAL),
        Figure(name + "of the limit used with Redis there, least", LEAST_PERCENT, round(used, 1), "%", used >= LEAST_PERCENT),
        Figure(name + "of the limit used without Redis", None, round(saturation.use(killed, back), 1), "%", passed=True),
        Figure(name + "requests with another answer than 200 or 429", 0, saturation.odd, "requests", saturation.odd == 0),
    ]  # fmt: skip


class _Saturation:
    """Times are seconds since the begin."""

    def __init__(self, cluster: Cluster, key: CreatedKey, redis: RedisServer) -> None:
        self._urls = [gateway.origin + CHAT for gateway in cluster.gateways]
        self._headers = {"authorization": f"Bearer {key.secret}"}
        self._redis = redis
        self._granted: list[tuple[float, float]] = []
        self._begun = 0.0
        self.odd = 0
        self.killed_at = self.back_at = self.ended_at = 0.0

    def _now(self) -> float:
        return time.monotonic() - self._begun

    async def go(self, seconds: float) -> None:
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            self._begun = time.monotonic()
            load = asyncio.create_task(self._load(session, seconds))
            await asyncio.sleep(AWAY[0] * seconds)
            self.killed_at = self._now()
            await asyncio.to_thread(self._redis.kill)
            await asyncio.sleep(AWAY[1] * seconds - self._now())
            await asyncio.to_thread(self._redis.start)
            self.back_at = self._now()
            await load
        self._granted.sort()

    async def _load(self, session: aiohttp.ClientSession, seconds: float) -> None:
        """Open loop, gateway after gateway."""
        number = 0
        async with asyncio.TaskGroup() as group:
            while self._now() < seconds:
                group.create_task(self._ask(session, self._urls[number % len(self._urls)]))
                number += 1
                await asyncio.sleep(number / (EXCESS * PER_SECOND) - self._now())
            self.ended_at = self._now()

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> None:
        sent_at, status = self._now(), 0
        try:
            async with session.post(url, json=_BODY, headers=self._headers) as response:
                status = response.status
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            pass
        if status == 200:
            self._granted.append((sent_at, self._now()))
        self.odd += status not in (200, 429)

    def find_most(self, seconds: float, begin: float = 0.0, end: float = float("inf")) -> int:
        """The most that was admitted in any so many seconds between `begin` and `end`."""
        inside = [times for times in self._granted if times[0] >= begin and times[1] <= end]
        sent = [times[0] for times in inside]
        return max(
            (
                sum(
                    answered_at <= at + seconds
                    for _, answered_at in inside[first : bisect_left(sent, at + seconds)]
                )
                for first, at in enumerate(sent)
            ),
            default=0,
        )

    def use(self, begin: float, end: float) -> float:
        """Percent of what the bucket takes in between `begin` and `end` that was admitted."""
        count = sum(begin <= sent_at < end for sent_at, _ in self._granted)
        return 100 * count / (PER_SECOND * (end - begin))
