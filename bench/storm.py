"""A storm of requests against one gateway that is killed in its midst, and the comparison of both parties' books.

Every behaviour of the fake provider is mixed, clients leave, and whoever meets a dead gateway waits for the next one. The
provider's books are the judge: they hold what it accepted and what it bills.
"""

import asyncio
import dataclasses
import random
from typing import Any

from tests.support.client import Answer, Client, chat_body, leave_after
from tests.support.fake_provider import Entry, FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import FLAT, by_request, cost_nanos, model_toml, usd_to_nanos

MAX_TOKENS = 24
ORDERS = (
    *(
        "tokens=12 delay_ms=15",
        "tokens=24 delay_ms=8 reasoning=5 cached=4",
        "tokens=24 delay_ms=2",
        "tokens=500",
    )
    * 3,
    "mode=buffers tokens=24 delay_ms=5",
    "mode=no_usage",
    "mode=usage_zero",
    "mode=usage_twice",
    "mode=usage_negative",
    "mode=usage_float",
    "mode=usage_string",
    "mode=usage_huge",
    "mode=error_after status=500",
    "mode=error_after status=429",
    "mode=stream_error_after after=5",
    "mode=silent seconds=1.6",
    "mode=silent seconds=1.6 phase=body",
    "mode=cut bytes=0",
    "mode=cut bytes=150",
    "mode=cut bytes=400 end=clean",
    "mode=reset after=5",
    "mode=redirect to=http://127.0.0.1:9/v1/chat/completions",
    "mode=endless_header megabytes=1",
    "mode=gzip_bomb megabytes=5",
    "mode=bad_chunk after=5",
    "mode=wrong_length",
    "mode=status status=503",
    "mode=crlf",
    "mode=split bytes=11 flush_ms=0.2",
)


def start_gateway(provider: FakeProvider, *, retries: int = 0) -> RunningGateway:
    """A gateway on this provider with the model `chat`, and timeouts that the silent ones run into."""
    timeouts = "connect = 2, first_byte = 1, between_bytes = 1"
    return RunningGateway(
        provider_toml(provider.base_url, timeouts=timeouts) + model_toml(retries=retries, price=FLAT),
        server="drain_seconds = 5",
    )


@dataclasses.dataclass
class Storm:
    """`requests` of one key, `workers` at once. After `run`, `answers` holds what came back."""

    gateway: RunningGateway
    key: CreatedKey
    seed: int
    orders: tuple[str, ...] = ORDERS
    leaving: float = 0.1  # the share of clients that leave within their answer
    max_tokens: int = MAX_TOKENS
    answers: list[Answer] = dataclasses.field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._ready = asyncio.Event()
        self._ready.set()
        self._stopped = False

    async def run(self, requests: int | None, workers: int) -> None:
        """Send `requests`, or go on until `stop`."""
        async with Client(self.gateway.origin, self.key.secret, connections=workers) as client:
            await asyncio.gather(*(self._work(client, requests) for _ in range(workers)))

    def stop(self) -> None:
        """What runs is finished, nothing new is sent."""
        self._stopped = True

    async def kill(self) -> None:
        """SIGKILL, and the next process on the same store."""
        self._ready.clear()
        self.gateway.kill()
        self.gateway.spawn()
        await asyncio.to_thread(self.gateway.wait_until_ready)
        self._ready.set()

    async def _work(self, client: Client, requests: int | None) -> None:
        while not self._stopped and (requests is None or self.sent < requests):
            self.sent += 1
            await self._ready.wait()
            body = chat_body(
                self._chance.choice(self.orders),
                stream=self._chance.random() < 0.8,
                max_tokens=self.max_tokens,
            )
            if self._chance.random() < self.leaving:
                await self._leave(body)
            else:
                answer = await client.send(body)
                self.answers.append(answer)
                if not answer.status:
                    await asyncio.sleep(0.02)

    async def _leave(self, body: dict[str, Any]) -> None:
        try:
            await leave_after(self.gateway.port, self.key.secret, body, self._chance.randrange(6000))
        except ConnectionError:
            await asyncio.sleep(0.02)  # nobody was there


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Both parties' books over one key, in nano-USD. Counts are of faults but for `accepted` and `rows`."""

    accepted: int
    rows: int
    billed: int
    charged: int
    estimated_excess: int  # what rows marked `estimated` were charged above their bill
    unrecorded: int  # accepted requests without a row
    phantom: int  # charged rows that nobody accepted, and that do not say they are estimated
    undercharged: int  # requests that were billed more than they were charged
    misquoted: int  # rows with the provider's usage whose charge is not the bill
    counter_error: int  # |spent of GET /v1/key - the rows|, plus what is still reserved

    @property
    def unexplained(self) -> int:
        """The part of the difference that is not in rows marked `estimated`."""
        return abs(self.charged - self.billed - self.estimated_excess)


def judge(gateway: RunningGateway, provider: FakeProvider, key: CreatedKey) -> Verdict:
    """Compare the books once both sides are quiet."""
    ours = by_request(gateway.settled_rows(key.id, timeout_seconds=60))
    mine = {row["request_id"] for row in gateway.ledger_rows()} - set(ours)
    entries = [entry for entry in provider.settled_ledger(60) if entry.request_id not in mine]
    theirs = by_request(entries)
    counts = dict.fromkeys(("unrecorded", "phantom", "undercharged", "misquoted", "estimated_excess"), 0)
    for request_id in {*ours, *theirs}:
        for name, count in compare_request(ours.get(request_id, []), theirs.get(request_id, [])).items():
            counts[name] += count
    rows = [row for group in ours.values() for row in group]
    charged = sum(row["charged_nanos"] for row in rows)
    budget = gateway.key_state(key.secret)["budget"]
    error = abs(usd_to_nanos(budget["spent_usd"]) - charged) + usd_to_nanos(budget["reserved_usd"])
    billed = sum(cost_nanos(entry, FLAT) for entry in entries)
    return Verdict(
        accepted=len(entries), rows=len(rows), billed=billed, charged=charged, counter_error=error, **counts
    )


def compare_request(rows: list[dict[str, Any]], entries: list[Entry]) -> dict[str, int]:
    """One request. A row may lack its entry where a request met a closing connection: then it is no provider's row."""
    bills = [cost_nanos(entry, FLAT) for entry in sorted(entries, key=lambda entry: entry.at)]
    reported = [row["charged_nanos"] for row in rows if row["usage_source"] == "provider"]
    silent = [row["charged_nanos"] for row in rows if row["usage_source"] == "estimated"]
    left = list(bills)
    for charge in reported:
        if charge in left:
            left.remove(charge)
    unmatched = sum(charge not in bills for charge in reported)
    return {
        "unrecorded": max(0, len(entries) - len(rows)),
        "phantom": max(0, len(reported) - len(entries)),
        "undercharged": int(sum(bills) > sum(row["charged_nanos"] for row in rows)),
        "misquoted": unmatched,
        "estimated_excess": sum(silent) - sum(left) if not unmatched else 0,
    }
