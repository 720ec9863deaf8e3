"""Every way in which a provider can behave, spoken to in its client's dialect or in translation, against its own books.

All cases run at once, each under a budgeted key and under a free one; then each is judged: one row per attempt; what the
provider reported is charged to the nano-USD; what it did not report believably is charged, under a budget, the reserved
bound, which is never below the provider's own bill.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.client import Client, leave_after
from tests.support.clients import native_tables
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.money import Prices, by_request, cost_nanos

PRICE = Prices(input="1", output="2", cached_input="0.1", reasoning="3")
TRANSLATED = {
    "openai>anthropic": "claude", "openai>anthropic-stream": "claude", "openai>gemini-stream": "gem", "anthropic>openai-stream": "chat",
}  # fmt: skip
WAYS = ("anthropic", "anthropic-stream", "gemini", "gemini-stream", "gemini-array", *TRANSLATED)
HONEST = (
    "mode=honest tokens=20",
    "mode=honest tokens=20 reasoning=7 cached=2",
    "mode=honest tokens=500",
    "mode=usage_twice",
    "mode=split bytes=7",
    "mode=crlf",
)
# In the middle of a document nobody can be told: what is cut is cut.
LIES = ("mode=no_usage", "mode=usage_negative", "mode=usage_float", "mode=usage_string", "mode=usage_huge")
BROKEN = (
    "mode=reset after=3",
    "mode=bad_chunk after=3",
    "mode=cut bytes=0",
    "mode=cut bytes=20",
    "mode=wrong_length",
    "mode=error_after status=500",
)


class Case(NamedTuple):
    way: str
    orders: str
    kind: str

    @property
    def name(self) -> str:
        return f"{self.way}-{self.orders.replace(' ', '-')}"


CASES = [
    Case(way, orders, kind)
    for way in WAYS
    for kind, every in (("honest", HONEST), ("lie", LIES), ("broken", BROKEN))
    for orders in every
]


def make_request(case: Case) -> tuple[str, dict[str, Any]]:
    text = f"[[fake: {case.orders}]]"
    messages = [{"role": "user", "content": text}]
    stream = case.way.endswith("stream")
    if case.way in TRANSLATED:
        path = "/v1/chat/completions" if case.way.startswith("openai") else "/v1/messages"
        return path, {"model": TRANSLATED[case.way], "max_tokens": 40, "messages": messages, "stream": stream}
    if case.way.startswith("anthropic"):
        return "/v1/messages", {"model": "claude", "max_tokens": 40, "messages": messages, "stream": stream}
    method = {
        "gemini": "generateContent",
        "gemini-stream": "streamGenerateContent?alt=sse",
        "gemini-array": "streamGenerateContent",
    }[case.way]
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return f"/v1beta/models/gem:{method}", {"contents": contents, "generationConfig": {"maxOutputTokens": 40}}


class Outcome(NamedTuple):
    status: int
    error: str
    body: bytes
    row: dict[str, Any]
    bill_nanos: int


Outcomes = dict[tuple[str, bool], Outcome]


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(native_tables(provider), server="drain_seconds = 1")


async def run_all(gateway: RunningGateway, key: CreatedKey) -> list[Any]:
    async with Client(gateway.origin, key.secret) as client:
        return await asyncio.gather(
            *(client.send(make_request(case)[1], make_request(case)[0]) for case in CASES)
        )


@pytest.fixture(scope="module")
def outcomes(gateway: RunningGateway, provider: FakeProvider) -> Iterator[Outcomes]:
    found: Outcomes = {}
    for budget in ("100", None):
        key = gateway.create_key("judged", budget_usd=budget)
        answers = asyncio.run(run_all(gateway, key))
        entries = by_request(provider.settled_ledger())
        rows = by_request(gateway.settled_rows(key.id))
        for case, answer in zip(CASES, answers, strict=True):
            # An answer that was aborted before its head has no id of its own: its row is the one left over.
            request_id = answer.request_id or _match(case, entries, rows)
            [row], [entry] = rows[request_id], entries[request_id]
            found[case.name, budget is not None] = Outcome(
                answer.status, answer.error, answer.body, row, cost_nanos(entry, PRICE)
            )
    return found


def _match(case: Case, entries: Any, rows: Any) -> str:
    mode = case.orders.split()[0].removeprefix("mode=")
    wanted = [i for i in rows if entries[i][0].mode == mode and "claude" in entries[i][0].model]
    assert len(wanted) == 1, (case, wanted)
    return str(wanted[0])


@pytest.mark.parametrize("budgeted", [True, False], ids=["budget", "free"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_charged_as_promised(outcomes: Outcomes, case: Case, budgeted: bool) -> None:
    status, error, body, row, bill = outcomes[case.name, budgeted]
    if case.kind == "honest":
        assert (status, error, row["usage_source"], row["outcome"]) == (200, "", "provider", "completed")
        assert row["charged_nanos"] == bill > 0
        return
    if case.kind == "lie":
        # A stream of Gemini's reports with each piece: the last one counts, and that is a lie too.
        assert (status, error, row["usage_source"]) == (200, "", "estimated")
    elif case.orders.startswith("mode=error_after"):
        assert status == 500 and row["outcome"] == "upstream_failed"
    else:
        assert row["outcome"] == "upstream_failed"
        assert error or status >= 500 or b'"error"' in body, "the client must be able to tell"
    if row["usage_source"] == "provider":
        assert row["charged_nanos"] == bill
    elif budgeted:
        assert row["charged_nanos"] == row["reserved_nanos"] >= bill


def test_nothing_was_an_alarm_but_the_lies(outcomes: Outcomes, gateway: RunningGateway) -> None:
    assert outcomes and "Traceback" not in gateway.log_text()
    assert "more than its bound" not in gateway.log_text()


@pytest.mark.parametrize("way", ["anthropic-stream", "gemini-stream", "gemini-array"])
def test_a_client_that_leaves_is_drained_under_a_budget(
    gateway: RunningGateway, provider: FakeProvider, way: str
) -> None:
    key = gateway.create_key("leaves", budget_usd="1")
    path, body = make_request(Case(way, "mode=slow delay_ms=15 tokens=20", "honest"))
    asyncio.run(leave_after(gateway.port, key.secret, body, 1100, path=path))
    [row] = gateway.settled_rows(key.id)
    [entry] = by_request(provider.settled_ledger())[row["request_id"]]
    assert (row["usage_source"], row["outcome"]) == ("provider", "completed")
    assert row["charged_nanos"] == cost_nanos(entry, PRICE) and entry.completion_tokens == 20


def test_a_budget_is_never_passed(gateway: RunningGateway, provider: FakeProvider) -> None:
    """Each request costs at most 0.000150 or so: a cap of 0.0005 admits some of them, whatever the concurrency."""
    key = gateway.create_key("capped", budget_usd="0.0005")
    requests = [make_request(Case(way, "mode=honest tokens=40", "honest")) for way in WAYS for _ in range(6)]

    async def flood() -> list[int]:
        async with Client(gateway.origin, key.secret, connections=32) as client:
            return [
                a.status for a in await asyncio.gather(*(client.send(body, path) for path, body in requests))
            ]

    statuses = asyncio.run(flood())
    rows = gateway.settled_rows(key.id)
    assert 200 in statuses and 429 in statuses and set(statuses) == {200, 429}
    spent = sum(row["charged_nanos"] for row in rows)
    assert spent <= 500_000
    bills = by_request(provider.settled_ledger())
    assert spent == sum(cost_nanos(bills[row["request_id"]][0], PRICE) for row in rows)
    assert json.loads(json.dumps(gateway.key_state(key.secret)["budget"]))["reserved_usd"] == "0.00"
