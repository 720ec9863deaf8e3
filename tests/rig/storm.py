"""Streams of one key with a budget for a part of them, over a fleet whose counters and gateways die meanwhile.

The provider's own books are the judge: what it bills is at most what we charged, and that at most the budget.
"""

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Callable

import aiohttp

from tests.rig.cluster import Cluster
from tests.support.client import CHAT, chat_body
from tests.support.gateway import CreatedKey
from tests.support.money import PRICE, Prices, cost_nanos, usd_to_nanos

__all__ = ["Act", "Plan", "Verdict", "run_storm"]

_RETRY_SECONDS = 0.2
_REFUSED_SECONDS = 0.5  # money that is reserved comes back
FLAT = dataclasses.replace(PRICE, reasoning=PRICE.output)


@dataclasses.dataclass(frozen=True)
class Act:
    """Something done to the fleet, so many seconds after the begin."""

    at: float
    do: Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Plan:
    """`funded` of the `requests` can be paid, `streams` at once, each of so many tokens."""

    requests: int
    funded: int
    streams: int
    tokens: int = 24
    delay_ms: int = 100
    deadline_seconds: float = 120.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """In nano-USD; `outcomes` counts the last answer of each request by status and code."""

    cap: int
    billed: int  # by the provider
    charged: int  # in our ledger
    spent: int  # as the counters have it
    reserved: int
    rows: int
    accepted: int  # by the provider
    outcomes: Counter[str]

    @property
    def holds(self) -> bool:
        """Whether the provider's books, ours, the counters and the budget agree as they must."""
        return self.billed <= self.charged <= self.cap and self.spent == self.charged and self.reserved == 0


def run_storm(cluster: Cluster, plan: Plan, acts: list[Act], heal: Callable[[], object]) -> Verdict:
    """`heal` brings back whatever the acts have killed; then both parties' books are compared."""
    cap = plan.funded * _cost(plan, FLAT)
    key = cluster.create_key("storm", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}")
    earlier = len(cluster.provider.settled_ledger(60))
    outcomes = asyncio.run(_Storm(cluster, key, plan).run(acts))
    heal()
    _wait_until_quiet(cluster, key)
    entries = cluster.provider.settled_ledger(60)[earlier:]
    rows = asyncio.run(cluster.fetch("SELECT charged_nanos FROM ledger WHERE key_id = $1", key.id))
    budget = cluster.gateways[0].key_state(key.secret)["budget"]
    return Verdict(
        cap=cap,
        billed=sum(cost_nanos(entry, FLAT) for entry in entries),
        charged=sum(row[0] for row in rows),
        spent=usd_to_nanos(budget["spent_usd"]),
        reserved=usd_to_nanos(budget["reserved_usd"]),
        rows=len(rows),
        accepted=len(entries),
        outcomes=outcomes,
    )


def _cost(plan: Plan, price: Prices) -> int:
    """Of one request, about: the provider counts some tokens for the prompt."""
    return round(1000 * (20 * float(price.input) + plan.tokens * float(price.output)))


def _wait_until_quiet(cluster: Cluster, key: CreatedKey, timeout_seconds: float = 90.0) -> None:
    """No exchange runs and nothing is reserved any more."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        running = [gateway.readiness()["running"] for gateway in cluster.gateways]
        budget = cluster.gateways[0].fetch("/v1/key", secret=key.secret)[1].get("budget") or {}
        if not any(running) and usd_to_nanos(budget.get("reserved_usd", "1")) == 0:
            break
        assert time.monotonic() < deadline, (running, budget)
        time.sleep(0.1)
    cluster.create_key("flush", budget_usd="0")
    time.sleep(1.5)  # the books of every gateway go to the store twice a second


class _Storm:
    def __init__(self, cluster: Cluster, key: CreatedKey, plan: Plan) -> None:
        self._origins = [gateway.origin for gateway in cluster.gateways]
        self._key, self._plan = key, plan
        self._left = plan.requests
        self._outcomes: Counter[str] = Counter()
        self._ends_at = 0.0

    async def run(self, acts: list[Act]) -> Counter[str]:
        begun = time.monotonic()
        self._ends_at = begun + self._plan.deadline_seconds
        timeout = aiohttp.ClientTimeout(total=60)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            working = [
                asyncio.create_task(self._work(session, number)) for number in range(self._plan.streams)
            ]
            for act in sorted(acts, key=lambda act: act.at):
                await asyncio.sleep(max(0.0, begun + act.at - time.monotonic()))
                await asyncio.to_thread(act.do)
            await asyncio.gather(*working)
        return self._outcomes

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
            self._outcomes[outcome] += 1
            if outcome.startswith("429"):
                await asyncio.sleep(_REFUSED_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession, origin: str) -> str:
        plan = self._plan
        body = chat_body(
            f"tokens={plan.tokens} delay_ms={plan.delay_ms}", stream=True, max_tokens=plan.tokens
        )
        begun = False
        try:
            async with session.post(
                origin + CHAT, json=body, headers={"authorization": f"Bearer {self._key.secret}"}
            ) as response:
                begun = response.status == 200
                text = await response.read()
                if not begun:
                    return f"{response.status} {response.headers.get('x-gateway-error', '')}"
                return "200" if b"data: [DONE]" in text else "200 broken"
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            return "200 broken" if begun else "0"
