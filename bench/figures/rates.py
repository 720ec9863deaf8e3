"""A rate over four gateways that are asked for ten times as much, while Redis is cut off from all of them for a minute, and later
killed and back empty.

What is counted in a window was surely admitted in it: sent after its begin and answered before its end. Meanwhile without Redis each
gateway goes on with its part of what it last heard of the bucket, which is a moment old.
"""

import asyncio
import dataclasses
import time
from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise

import aiohttp

from bench.figure import Figure
from tests.rig.cluster import Cluster
from tests.support.client import CHAT, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey
from tests.support.postgres import run_postgres
from tests.support.redis import run_redis

GATEWAYS = 4
PER_SECOND, BURST = 10, 60
EXCESS = 10  # times as much as is allowed
LOCAL = 10  # requests that the parts may be ahead of what all of them have
WINDOW_SECONDS, SHORT_WINDOW_SECONDS = 60.0, 5.0
BACK_SECONDS = 5.0  # until all is as before
LEAST_PERCENT = 97.0
_BODY = chat_body(max_tokens=2)


@dataclasses.dataclass(frozen=True)
class _Stage:
    """So many seconds, which begin with an act."""

    seconds: float
    begin: Callable[[], object] = lambda: None
    has_redis: bool = True


def run(short: bool) -> list[Figure]:
    """The long form takes nine minutes, the short one 70 s."""
    calm, away = (30.0, 8.0) if short else (300.0, 60.0)
    window = SHORT_WINDOW_SECONDS if short else WINDOW_SECONDS
    with run_postgres() as server, run_redis() as redis, FakeProvider(api_key="fake-key") as provider:
        url = asyncio.run(server.make_store())
        with Cluster(url, redis.url, provider, gateways=GATEWAYS, redis_links=True) as cluster:
            key = cluster.create_key("rate", requests_per_minute=60 * PER_SECOND, burst=BURST)
            links = cluster.redis_links
            stages = [
                _Stage(calm),
                _Stage(away, lambda: [link.blackhole() for link in links], has_redis=False),
                _Stage(away, lambda: [link.heal(lossy=True) for link in links]),
                _Stage(away, redis.kill, has_redis=False),
                _Stage(away, redis.start),
            ]
            saturation = _Saturation(cluster, key)
            asyncio.run(saturation.go(stages))
    name = f"{calm:.0f} s and {len(stages) - 1} times {away:.0f} s at {EXCESS} times the limit on {GATEWAYS} gateways: "
    return _judge(saturation, stages, window, name)


def _judge(saturation: "_Saturation", stages: list[_Stage], window: float, name: str) -> list[Figure]:
    spans = list(zip(stages, pairwise(saturation.turns), strict=True))
    # The bucket is full at the begin, and again when an empty server knows nothing of it: what fills up counts, not what was
    # there. A return takes up to `BACK_SECONDS`.
    there = [
        (begin + (BACK_SECONDS if begin else 0), end) for stage, (begin, end) in spans if stage.has_redis
    ]
    full = [(max(begin, BURST / PER_SECOND), end) for begin, end in there]
    without = [span for stage, span in spans if not stage.has_redis]
    allowed = round(BURST + PER_SECOND * window)
    most, calm = saturation.find_most(window), max(saturation.find_most(window, *span) for span in there)
    used = min(saturation.use(*span) for span in full)
    return [
        Figure(name + f"most in any {window:.0f} s with Redis there", allowed, calm, "requests", calm <= allowed),
        Figure(name + f"most in any {window:.0f} s at all", allowed + LOCAL, most, "requests", most <= allowed + LOCAL),
        Figure(name + "of the limit used with Redis there, least", LEAST_PERCENT, round(used, 1), "%", used >= LEAST_PERCENT),
        *(
            Figure(name + f"of the limit used while Redis is {fault}", None, round(saturation.use(*span), 1), "%", passed=True)
            for fault, span in zip(("cut off", "dead"), without, strict=True)
        ),
        Figure(name + "requests with another answer than 200 or 429", 0, saturation.odd, "requests", saturation.odd == 0),
    ]  # fmt: skip


class _Saturation:
    """Times are seconds since the begin."""

    def __init__(self, cluster: Cluster, key: CreatedKey) -> None:
        self._urls = [gateway.origin + CHAT for gateway in cluster.gateways]
        self._headers = {"authorization": f"Bearer {key.secret}"}
        self._granted: list[tuple[float, float]] = []
        self._begun = 0.0
        self.odd = 0
        self.turns = [0.0]  # between the stages

    def _now(self) -> float:
        return time.monotonic() - self._begun

    async def go(self, stages: list[_Stage]) -> None:
        seconds = sum(stage.seconds for stage in stages)
        connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            self._begun = time.monotonic()
            load = asyncio.create_task(self._load(session, seconds))
            ends_at = 0.0
            for stage in stages:
                await asyncio.to_thread(stage.begin)
                ends_at += stage.seconds
                await asyncio.sleep(ends_at - self._now())
                self.turns.append(self._now())
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
