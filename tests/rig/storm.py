"""Streams of one key with a budget for a part of them, over a fleet whose counters and gateways die meanwhile.

The provider's own books are the judge: what it bills is at most what we charged, and that at most the budget.
"""

import asyncio
import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp

from tests.rig.cluster import Cluster
from tests.rig.judging import ROWS, Books, Refusal, compare_books
from tests.support.client import CHAT, chat_body, leave_after
from tests.support.gateway import CreatedKey
from tests.support.money import FLAT, Prices, usd_to_nanos

__all__ = ["FAULTY", "LIES", "Act", "Plan", "Verdict", "kill_in_turn", "run_storm"]

_RETRY_SECONDS = 0.2
_REFUSED_SECONDS = 0.5  # money that is reserved comes back
_WRITTEN_SECONDS = 10.0
LIES = (
    *("mode=exceeds_cap",) * 4,
    *(f"mode={name}" for name in ("usage_negative", "usage_float", "usage_string", "usage_huge")),
    "mode=usage_zero",
    "mode=no_usage",
    "mode=honest",
)
"""A provider that makes more than it was allowed to, or says of its usage what cannot be."""
FAULTY = (
    *("mode=honest",) * 95,
    "mode=status status=503",
    "mode=error_after status=500",
    "mode=cut bytes=150",
    "mode=reset after=2",
    "mode=error_after status=429",
)
"""One of twenty requests meets a fault."""


@dataclasses.dataclass(frozen=True)
class Act:
    """Something done to the fleet, not before so many seconds after the begin; `here` if it starts a gateway."""

    at: float
    do: Callable[[], object]
    here: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """`funded` of the `requests` can be paid, `streams` at once, each of so many tokens. Without `requests` it goes on until
    all acts are done. Each request has one of the `orders` for the provider."""

    requests: int | None
    funded: int
    streams: int
    tokens: int = 24
    delay_ms: int = 100
    deadline_seconds: float = 120.0
    orders: tuple[str, ...] = ("mode=honest",)
    leaving: float = 0.0  # the share of clients that leave within their answer
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Verdict:
    """In nano-USD; `outcomes` counts the last answer of each request by status and code."""

    cap: int
    books: Books
    spent: int  # as the counters have it
    reserved: int
    quiet_seconds: float  # until nothing was reserved any more
    streams: int
    outcomes: Counter[str]

    @property
    def error(self) -> int:
        """What as many requests as run at once were charged at most beyond their reservation: 0 where the provider keeps to
        the limits that it is given."""
        return sum(self.books.over[: self.streams])

    @property
    def holds(self) -> bool:
        """Whether the provider's books, ours, the counters and the budget agree as they must."""
        books = self.books
        return (
            books.billed <= books.charged + books.unpaid
            and books.charged <= self.cap + self.error
            and books.unpaid <= self.error
            and not (books.unrecorded or books.doubled or books.misquoted or books.unexplained)
            and (self.spent, self.reserved) == (books.charged, 0)
        )


def kill_in_turn(cluster: Cluster, kills: int, seed: int = 1) -> list[Act]:
    """So many kills -9, of one gateway after the other, each soon after the one before is back."""
    chance = random.Random(seed)
    acts: list[Act] = []
    for number in range(kills):
        victim = cluster.gateways[number % len(cluster.gateways)]
        acts += [
            Act(0.0, lambda: time.sleep(0.05 + 0.4 * chance.random())),
            Act(0.0, victim.kill),
            Act(0.0, victim.spawn, here=True),
            Act(0.0, victim.wait_until_ready),
        ]
    return acts


def run_storm(
    cluster: Cluster, plan: Plan, acts: list[Act], heal: Callable[[], object] = lambda: None
) -> Verdict:
    """`heal` brings back whatever the acts have killed; then both parties' books are compared."""
    cap = plan.funded * _cost(plan, FLAT)
    key = cluster.create_key("storm", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}")
    earlier = len(cluster.provider.settled_ledger(60))
    storm = _Storm(cluster, key, plan)
    asyncio.run(storm.run(acts))
    heal()
    quiet_seconds = _wait_until_quiet(cluster, key)
    entries = cluster.provider.settled_ledger(60)[earlier:]
    rows = asyncio.run(cluster.fetch(ROWS, key.id))
    budget = cluster.gateways[0].key_state(key.secret)["budget"]
    return Verdict(
        cap=cap,
        books=compare_books(rows, entries, storm.refusals, cap),
        spent=usd_to_nanos(budget["spent_usd"]),
        reserved=usd_to_nanos(budget["reserved_usd"]),
        quiet_seconds=round(quiet_seconds, 1),
        streams=plan.streams,
        outcomes=storm.outcomes,
    )


def _cost(plan: Plan, price: Prices) -> int:
    """Of one request, about: the provider counts some tokens for the prompt."""
    return round(1000 * (20 * float(price.input) + plan.tokens * float(price.output)))


def _wait_until_quiet(cluster: Cluster, key: CreatedKey, timeout_seconds: float = 90.0) -> float:
    """No exchange runs and nothing is reserved any more; after so many seconds."""
    begun = time.monotonic()
    while True:
        running = [gateway.readiness()["running"] for gateway in cluster.gateways]
        budget = cluster.gateways[0].fetch("/v1/key", secret=key.secret)[1].get("budget") or {}
        if not any(running) and usd_to_nanos(budget.get("reserved_usd", "1")) == 0:
            break
        assert time.monotonic() - begun < timeout_seconds, (running, budget)
        time.sleep(0.1)
    took = time.monotonic() - begun
    cluster.create_key("flush", budget_usd="0")
    spent = usd_to_nanos(budget["spent_usd"])
    while _sum_charges(cluster, key) != spent:  # the books of every gateway go to the store twice a second
        if time.monotonic() - begun - took > _WRITTEN_SECONDS:
            break  # that is for the verdict to tell
        time.sleep(0.05)
    return took


def _sum_charges(cluster: Cluster, key: CreatedKey) -> int:
    return sum(row[4] for row in asyncio.run(cluster.fetch(ROWS, key.id)))


class _Storm:
    def __init__(self, cluster: Cluster, key: CreatedKey, plan: Plan) -> None:
        self._origins = [gateway.origin for gateway in cluster.gateways]
        self._key, self._plan = key, plan
        self._left: float = float("inf") if plan.requests is None else plan.requests
        self._chance = random.Random(plan.seed)
        self._ends_at = 0.0
        self.outcomes: Counter[str] = Counter()
        self.refusals: list[Refusal] = []

    async def run(self, acts: list[Act]) -> None:
        begun = time.monotonic()
        self._ends_at = begun + self._plan.deadline_seconds
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            working = [
                asyncio.create_task(self._work(session, number)) for number in range(self._plan.streams)
            ]
            for act in acts:
                await asyncio.sleep(max(0.0, begun + act.at - time.monotonic()))
                if act.here:
                    act.do()
                else:
                    await asyncio.to_thread(act.do)
            if self._plan.requests is None:
                self._left = 0
            await asyncio.gather(*working)

    async def _work(self, session: aiohttp.ClientSession, number: int) -> None:
        turn = number
        while self._left > 0 and time.monotonic() < self._ends_at:
            self._left -= 1
            while True:
                turn += 1
                outcome = await self._ask(session, self._origins[turn % len(self._origins)])
                # What a client may well send again: nobody was there, or nobody could say what is left.
                if not outcome.startswith(("0", "503")) or time.monotonic() > self._ends_at:
                    break
                await asyncio.sleep(_RETRY_SECONDS)
            self.outcomes[outcome] += 1
            if outcome.startswith("429"):
                await asyncio.sleep(_REFUSED_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, origin: str) -> str:
        plan, chance = self._plan, self._chance
        order = f"{chance.choice(plan.orders)} tokens={plan.tokens} delay_ms={plan.delay_ms}"
        body = chat_body(order, stream=chance.random() < 0.8, max_tokens=plan.tokens)
        if chance.random() < plan.leaving:
            try:
                await leave_after(urlsplit(origin).port or 0, self._key.secret, body, chance.randrange(3000))
            except ConnectionError:
                return "0"
            return "left"
        begun, sent_at = False, int(time.time() * 1000)
        try:
            async with session.post(
                origin + CHAT, json=body, headers={"authorization": f"Bearer {self._key.secret}"}
            ) as response:
                begun = response.status == 200
                text = await response.read()
                if begun:
                    return "200" if b"data: [DONE]" in text or not body["stream"] else "200 broken"
                code = response.headers.get("x-gateway-error", "")
                if code == "insufficient_quota":
                    needed = (await response.json())["error"]["gateway"]["budget"]["needed"]
                    self.refusals.append(Refusal(sent_at, int(time.time() * 1000), usd_to_nanos(needed)))
                return f"{response.status} {code}"
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            return "200 broken" if begun else "0"
