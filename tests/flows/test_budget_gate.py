"""What a budget lets through, what it refuses, and what it writes into the request that it lets through."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.money import PRICE, Prices, by_request, model_toml, usd_to_nanos

GRATIS = Prices("0", "0", "0", "0")
SMALL = Prices(reasoning=PRICE.output)


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    models = [
        model_toml("chat", price=SMALL),
        model_toml("capped", price=SMALL, extra="max_output_tokens = 50"),
        model_toml("seeing", extra="max_output_tokens = 50\nmax_input_tokens = 1000"),
        model_toml("gratis", price=GRATIS),
        model_toml("unpriced", price=None),
    ]
    return run_gateway(provider_toml(provider.base_url) + "".join(models))


async def _ask(gateway: RunningGateway, secret: str, body: dict[str, Any], path: str = "") -> Answer:
    async with Client(gateway.origin, secret) as client:
        return await (client.send(body, path) if path else client.send(body))


async def test_a_refusal_shows_the_sums(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("refused", budget_usd="0.01", budget_period="day")
    first = await _ask(gateway, key.secret, chat_body(max_tokens=40))
    assert first.status == 200, first
    spent = gateway.settled_rows(key.id)[0]["charged_nanos"]
    accepted = provider.stats()["accepted"]
    refused = await _ask(gateway, key.secret, chat_body(max_tokens=2000))
    assert refused.status == 429
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    budget = error["gateway"]["budget"]
    assert usd_to_nanos(budget["limit"]) == 10_000_000
    assert usd_to_nanos(budget["spent"]) == spent
    assert usd_to_nanos(budget["reserved"]) == 0
    assert usd_to_nanos(budget["needed"]) > 10_000_000 - spent
    assert budget["resets_at"].endswith("T00:00:00Z")
    assert refused.headers["x-should-retry"] == "false"
    assert refused.headers["x-gateway-error"] == "insufficient_quota"
    assert usd_to_nanos(refused.headers["x-gateway-budget-limit-usd"]) == 10_000_000
    assert usd_to_nanos(refused.headers["x-gateway-budget-remaining-usd"]) == 10_000_000 - spent
    assert provider.stats()["accepted"] == accepted
    assert len(gateway.settled_rows(key.id)) == 1


async def test_what_runs_counts_before_it_is_settled(gateway: RunningGateway, provider: FakeProvider) -> None:
    """Twenty at once where the bounds of three fit: three pass, and together they stay below the cap."""
    key = gateway.create_key("probe", budget_usd="1")
    body = chat_body("tokens=40 delay_ms=10", max_tokens=40)
    await _ask(gateway, key.secret, body)
    bound = gateway.settled_rows(key.id)[0]["reserved_nanos"]
    cap = bound * 7 // 2
    tight = gateway.create_key("tight", budget_usd=f"{cap // 10**9}.{cap % 10**9:09d}")
    async with Client(gateway.origin, tight.secret, connections=20) as client:
        answers = await client.send_all([body] * 20)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 17
    reserved = {answer.json()["error"]["gateway"]["budget"]["reserved"] for answer in answers if answer.code}
    assert all(usd_to_nanos(amount) <= cap for amount in reserved)
    assert sum(row["charged_nanos"] for row in gateway.settled_rows(tight.id)) <= cap


async def test_price_zero_passes_with_nothing_left(gateway: RunningGateway) -> None:
    key = gateway.create_key("broke", budget_usd="0")
    assert (await _ask(gateway, key.secret, chat_body(max_tokens=40))).code == "insufficient_quota"
    assert (await _ask(gateway, key.secret, chat_body(model="gratis"))).status == 200
    [row] = gateway.settled_rows(key.id)
    assert (row["charged_nanos"], row["reserved_nanos"], row["usage_source"]) == (0, 0, "provider")
    assert not [event for event in gateway.events() if event["key_id"] == key.id]


async def test_no_price_is_refused_under_a_budget_only(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    accepted = provider.stats()["accepted"]
    key = gateway.create_key("budgeted", budget_usd="1")
    refused = await _ask(gateway, key.secret, chat_body(model="unpriced"))
    assert (refused.status, refused.code) == (403, "model_unpriced")
    assert provider.stats()["accepted"] == accepted
    free = gateway.create_key("free")
    assert (await _ask(gateway, free.secret, chat_body(model="unpriced"))).status == 200


IMAGE = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"model": "chat", "messages": [{"role": "user", "content": IMAGE}], "max_tokens": 40}),
        ("/v1/responses", {"model": "chat", "input": "hello", "background": True, "max_output_tokens": 40}),
        ("/v1/responses", {"model": "chat", "input": "hello", "tools": [{"type": "web_search"}], "max_output_tokens": 40}),
        ("", {**chat_body(max_tokens=40), "prediction": {"type": "content", "content": "x"}}),
    ],
    ids=["image", "background", "hosted-tool", "prediction"],
)  # fmt: skip
async def test_what_has_no_bound_is_refused_under_a_budget(
    gateway: RunningGateway, provider: FakeProvider, path: str, body: dict[str, Any]
) -> None:
    accepted = provider.stats()["accepted"]
    key = gateway.create_key("unbounded", budget_usd="1000")
    refused = await _ask(gateway, key.secret, body, path)
    assert (refused.status, refused.code) == (403, "cost_unbounded"), refused
    assert provider.stats()["accepted"] == accepted


async def test_a_configured_maximum_bounds_what_cannot_be_counted(gateway: RunningGateway) -> None:
    key = gateway.create_key("seeing", budget_usd="1")
    body = {"model": "seeing", "messages": [{"role": "user", "content": IMAGE}], "max_tokens": 40}
    assert (await _ask(gateway, key.secret, body)).status == 200
    [row] = gateway.settled_rows(key.id)
    assert row["reserved_nanos"] == 1000 * 2500 + 40 * 12300


@pytest.mark.parametrize("stream", [True, False])
async def test_the_cap_that_the_client_did_not_set_is_written_upstream(
    gateway: RunningGateway, provider: FakeProvider, stream: bool
) -> None:
    async def cap_of(secret: str, **members: Any) -> int | None:
        answer = await _ask(gateway, secret, chat_body(stream=stream, **members))
        assert answer.status == 200, answer
        [entry] = by_request(provider.settled_ledger())[answer.request_id]
        return entry.max_tokens

    key = gateway.create_key("uncapped", budget_usd="0.01")
    assert await cap_of(key.secret, model="capped") == 50
    assert await cap_of(key.secret, model="capped", max_tokens=7) == 7
    left = usd_to_nanos(gateway.key_state(key.secret)["budget"]["remaining_usd"])
    affordable = await cap_of(key.secret, model="chat")
    assert affordable is not None
    assert left - 200 * 2500 < affordable * 10_100 <= left, "all that the rest can pay, the input apart"
    row = gateway.settled_rows(key.id)[-1]
    assert left - 10_100 < row["reserved_nanos"] <= left
    free = gateway.create_key("free")
    assert await cap_of(free.secret, model="chat") is None


async def test_less_than_256_tokens_left_is_too_little(gateway: RunningGateway) -> None:
    enough, little = 256 * 10_100 + 250_000, 200 * 10_100
    for nanos, status in ((enough + 250_000, 200), (little, 429)):
        key = gateway.create_key("little", budget_usd=f"{nanos / 10**9:.9f}")
        answer = await _ask(gateway, key.secret, chat_body())
        assert answer.status == status, answer
        if status == 429:  # a client that asks for less still gets it
            assert (await _ask(gateway, key.secret, chat_body(max_tokens=10))).status == 200


async def test_a_lowered_budget_blocks_at_once(gateway: RunningGateway, provider: FakeProvider) -> None:
    key = gateway.create_key("lowered", budget_usd="1", alert_thresholds=[50])
    body = chat_body("tokens=40 delay_ms=10", stream=True, max_tokens=40)
    async with Client(gateway.origin, key.secret, connections=8) as client:
        assert (await client.send(body)).status == 200
        spent = gateway.settled_rows(key.id)[0]["charged_nanos"]
        running = [asyncio.create_task(client.send(body)) for _ in range(4)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(gateway.update_key, key.id, budget_usd=f"{spent // 2 / 10**9:.9f}")
        accepted = provider.stats()["accepted"]
        refused = await client.send(chat_body(max_tokens=1))
        assert refused.code == "insufficient_quota"
        assert provider.stats()["accepted"] == accepted
        assert all(answer.finished for answer in await asyncio.gather(*running)), "what runs is not cut"
    rows = gateway.settled_rows(key.id)
    budget = gateway.key_state(key.secret)["budget"]
    assert usd_to_nanos(budget["spent_usd"]) == sum(row["charged_nanos"] for row in rows)
    assert usd_to_nanos(budget["reserved_usd"]) == 0


async def test_a_rotated_key_keeps_its_spend(gateway: RunningGateway) -> None:
    key = gateway.create_key("rotated", budget_usd="1", requests_per_minute=50)
    await _ask(gateway, key.secret, chat_body(max_tokens=40))
    before = gateway.key_state(key.secret)
    fresh = gateway.rotate_key(key.id)
    after = gateway.key_state(fresh.secret)
    assert usd_to_nanos(after["budget"]["spent_usd"]) > 0
    assert after["budget"] == before["budget"]
    assert after["limits"]["requests_per_minute"]["remaining"] <= 49
    assert (await _ask(gateway, key.secret, chat_body())).code == "invalid_api_key"
