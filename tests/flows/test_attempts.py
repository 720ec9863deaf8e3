"""Further attempts: each has its own row and its own reservation, and the request takes one unit of its bucket."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import by_request, cost_nanos, model_toml, usd_to_nanos


@pytest.fixture(scope="module")
def second() -> Iterator[FakeProvider]:
    """The provider to fall back to."""
    with FakeProvider(api_key="fake-key") as running:
        yield running


@pytest.fixture(scope="module")
def third() -> Iterator[FakeProvider]:
    """And the one after that."""
    with FakeProvider(api_key="fake-key") as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: FakeProvider,
    second: FakeProvider,
    third: FakeProvider,
    run_gateway: Callable[..., RunningGateway],
) -> Iterator[RunningGateway]:
    with socket.socket() as bound:  # bound and not listening: connections to it are refused
        bound.bind(("127.0.0.1", 0))
        tables = [
            provider_toml(provider.base_url, timeouts="connect = 2, first_byte = 1, between_bytes = 1"),
            provider_toml(second.base_url, name="second"),
            provider_toml(f"http://127.0.0.1:{bound.getsockname()[1]}/v1", name="closed"),
            model_toml("pair", targets=["fake", "second"]),
            model_toml("away", targets=["closed", "second"]),
            model_toml("again", retries=2),
            provider_toml(provider.base_url, name="patient"),
            model_toml("patient", targets=["patient", "second"]),
            provider_toml(third.base_url, name="third"),
            model_toml("chain", targets=["fake", "second", "third"]),
        ]
        yield run_gateway("".join(tables))


@pytest.fixture(autouse=True)
def honest_again(provider: FakeProvider, second: FakeProvider) -> Iterator[None]:
    """Each test leaves the providers as it found them."""
    yield
    for running in (provider, second):
        running.set_mode("honest")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("mode", ["error_after status=500", "error_after status=429", "silent seconds=1.5"])
async def test_a_fallback_is_a_second_row_with_a_reservation_of_its_own(
    gateway: RunningGateway, provider: FakeProvider, second: FakeProvider, mode: str, stream: bool
) -> None:
    name, _, rest = mode.partition(" ")
    provider.set_mode(name, **dict([rest.split("=")]))
    key = gateway.create_key("fallback", budget_usd="1", requests_per_minute=10)
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(model="pair", stream=stream, max_tokens=40))
    assert answer.status == 200, answer
    assert answer.headers["x-gateway-provider"] == "second"
    one, two = gateway.settled_rows(key.id)
    [first_entry] = by_request(provider.settled_ledger())[answer.request_id]
    [second_entry] = by_request(second.settled_ledger())[answer.request_id]
    assert [(row["attempt"], row["provider"]) for row in (one, two)] == [(1, "fake"), (2, "second")]
    assert one["request_id"] == two["request_id"] == answer.request_id
    assert one["charged_nanos"] == one["reserved_nanos"] == two["reserved_nanos"] > cost_nanos(first_entry)
    assert (one["usage_source"], two["usage_source"]) == ("estimated", "provider")
    assert two["charged_nanos"] == cost_nanos(second_entry)
    state = gateway.key_state(key.secret)
    assert state["limits"]["requests_per_minute"]["remaining"] == 9
    assert usd_to_nanos(state["budget"]["spent_usd"]) == one["charged_nanos"] + two["charged_nanos"]
    assert usd_to_nanos(state["budget"]["reserved_usd"]) == 0


async def test_what_was_never_connected_costs_nothing(gateway: RunningGateway, second: FakeProvider) -> None:
    key = gateway.create_key("away", budget_usd="1")
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(model="away", max_tokens=40))
    assert answer.status == 200, answer
    one, two = gateway.settled_rows(key.id)
    [entry] = by_request(second.settled_ledger())[answer.request_id]
    assert (one["usage_source"], one["charged_nanos"]) == ("none", 0)
    assert (two["usage_source"], two["charged_nanos"]) == ("provider", cost_nanos(entry))


async def test_retries_of_one_target_are_rows_of_one_request(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    provider.set_mode("error_after", status=503, times=2)
    key = gateway.create_key("again", budget_usd="1", requests_per_minute=10)
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(model="again", max_tokens=40))
    assert answer.status == 200, answer
    rows = gateway.settled_rows(key.id)
    entries = by_request(provider.settled_ledger())[answer.request_id]
    assert [row["attempt"] for row in rows] == [1, 2, 3]
    assert len(entries) == 3
    assert [row["usage_source"] for row in rows] == ["estimated", "estimated", "provider"]
    assert sum(map(cost_nanos, entries)) <= sum(row["charged_nanos"] for row in rows)
    assert gateway.key_state(key.secret)["limits"]["requests_per_minute"]["remaining"] == 9


async def test_a_further_attempt_that_the_budget_cannot_pay_is_not_made(
    gateway: RunningGateway, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.set_mode("error_after", status=500)
    key = gateway.create_key("poor", budget_usd="1")
    async with Client(gateway.origin, key.secret) as client:
        await client.send(chat_body(model="pair", max_tokens=40))
        bound = gateway.settled_rows(key.id)[0]["reserved_nanos"]
        accepted = second.stats()["accepted"]
        poor = gateway.create_key("poorer", budget_usd=f"{bound * 3 // 2 / 10**9:.9f}")
    async with Client(gateway.origin, poor.secret) as client:
        answer = await client.send(chat_body(model="pair", max_tokens=40))
        refused = await client.send(chat_body(model="pair", max_tokens=40))
    assert (answer.status, answer.headers["x-gateway-error-source"]) == (500, "upstream")
    assert second.stats()["accepted"] == accepted
    assert refused.code == "insufficient_quota"
    [row] = gateway.settled_rows(poor.id)
    assert row["charged_nanos"] == row["reserved_nanos"] == bound


async def test_after_the_first_byte_there_is_no_further_attempt(
    gateway: RunningGateway, provider: FakeProvider, second: FakeProvider
) -> None:
    provider.set_mode("reset", after=3)
    accepted = second.stats()["accepted"]
    key = gateway.create_key("begun", budget_usd="1")
    async with Client(gateway.origin, key.secret) as client:
        answer = await client.send(chat_body(model="pair", stream=True, max_tokens=40))
    assert not answer.finished
    assert len(gateway.settled_rows(key.id)) == 1
    assert second.stats()["accepted"] == accepted


async def _edit_while_it_runs(
    gateway: RunningGateway, provider: FakeProvider, *edits: dict[str, str]
) -> tuple[CreatedKey, Answer]:
    """The key is edited during the first attempt, which fails."""
    provider.set_mode("error_after", status=500, head_delay_ms=1000 + 1000 * len(edits))
    key = gateway.create_key("edited", budget_usd="1")
    async with Client(gateway.origin, key.secret) as client:
        running = asyncio.create_task(client.send(chat_body(model="patient", max_tokens=40)))
        await asyncio.sleep(0.05)
        for edit in edits:
            await asyncio.to_thread(gateway.update_key, key.id, **edit)
        assert not running.done()
        return key, await running


async def test_a_further_attempt_obeys_a_budget_that_was_lowered(
    gateway: RunningGateway, provider: FakeProvider, second: FakeProvider
) -> None:
    accepted = second.stats()["accepted"]
    key, answer = await _edit_while_it_runs(gateway, provider, {"budget_usd": "0.000001"})
    assert (answer.status, answer.headers.get("x-gateway-error-source")) == (500, "upstream"), answer
    assert second.stats()["accepted"] == accepted
    [row] = gateway.settled_rows(key.id)
    budget = gateway.key_state(key.secret)["budget"]
    assert usd_to_nanos(budget["spent_usd"]) == row["charged_nanos"] > 0
    assert usd_to_nanos(budget["reserved_usd"]) == 0


async def test_a_further_attempt_counts_in_the_periods_of_now(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    edits = {"budget_period": "week"}, {"budget_period": "month"}
    key, answer = await _edit_while_it_runs(gateway, provider, *edits)
    assert answer.status == 200, answer
    one, two = gateway.settled_rows(key.id)
    assert (one["period"], two["period"].partition(":")[0]) == ("total", "month")
    budget = gateway.key_state(key.secret)["budget"]
    assert usd_to_nanos(budget["spent_usd"]) == one["charged_nanos"] + two["charged_nanos"]
    assert usd_to_nanos(budget["reserved_usd"]) == 0


async def test_a_chain_of_three_and_a_clients_duplicates_are_each_paid_once(
    gateway: RunningGateway, provider: FakeProvider, second: FakeProvider, third: FakeProvider
) -> None:
    provider.set_mode("error_after", status=500)
    second.set_mode("error_after", status=429)
    key = gateway.create_key("chain", budget_usd="1", requests_per_minute=4)
    body = chat_body(model="chain", max_tokens=40)
    answers = []
    for headers in ({}, {"idempotency-key": "the same"}):
        async with Client(gateway.origin, key.secret, headers=headers) as client:
            # Four in all: at the fifth fault the first two targets would rest.
            answers += await client.send_all([body] * 2)
    assert {answer.status for answer in answers} == {200}  # one unit of the four for each
    books = {
        name: by_request(running.settled_ledger())
        for name, running in (("fake", provider), ("second", second), ("third", third))
    }
    rows = by_request(gateway.settled_rows(key.id))
    # The same body and the same Idempotency-Key are a request of their own, as they are for the provider.
    assert len(rows) == len(answers) == 4
    charged = 0
    for answer in answers:
        one, two, three = rows[answer.request_id]
        bills = {name: cost_nanos(entry) for name in books for entry in books[name][answer.request_id]}
        assert [(row["attempt"], row["provider"]) for row in (one, two, three)] == list(enumerate(books, 1))
        assert one["reserved_nanos"] == two["reserved_nanos"] == three["reserved_nanos"] > 0
        assert [row["usage_source"] for row in (one, two, three)] == ["estimated", "estimated", "provider"]
        assert all(
            row["charged_nanos"] == row["reserved_nanos"] >= bills[row["provider"]] for row in (one, two)
        )
        assert three["charged_nanos"] == bills["third"] > 0
        charged += sum(row["charged_nanos"] for row in (one, two, three))
    state = gateway.key_state(key.secret)
    assert usd_to_nanos(state["budget"]["spent_usd"]) == charged
    assert usd_to_nanos(state["budget"]["reserved_usd"]) == 0
