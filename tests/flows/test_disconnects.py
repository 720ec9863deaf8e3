"""Clients that leave: drained under a budget and billed as the provider bills, cancelled at once otherwise."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import chat_body, leave_after
from tests.support.fake_provider import Entry, FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.money import by_request, cost_nanos, model_toml, usd_to_nanos
from tests.support.waiting import until

DROPS = 60
CANCEL_SECONDS = 0.1


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    models = [model_toml("chat")] + [
        model_toml(mode, extra=f'on_disconnect = "{mode}"') for mode in ("drain", "cancel")
    ]
    return run_gateway(provider_toml(provider.base_url) + "".join(models))


def _closes(stats: dict[str, Any]) -> int:
    return len(stats["closed_by_client"])


async def _drop_many(gateway: RunningGateway, secret: str, model: str, seed: int) -> None:
    """Streams of 40 slow tokens, each left at another point, some before their first byte."""
    chance = random.Random(seed)

    async def drop(read_bytes: int) -> None:
        order = "tokens=40 delay_ms=5" if read_bytes % 3 else "mode=buffers tokens=40 delay_ms=5 bytes=40"
        body = chat_body(order, stream=True, model=model, max_tokens=64)
        await leave_after(gateway.port, secret, body, read_bytes)

    offsets = [0, 1, 50] + [chance.randrange(9_000) for _ in range(DROPS - 3)]
    await asyncio.gather(*(drop(offset) for offset in offsets))


async def test_under_a_budget_what_clients_leave_is_read_to_its_end(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    key = gateway.create_key("drain", budget_usd="100")
    await _drop_many(gateway, key.secret, "chat", seed=1)
    rows = gateway.settled_rows(key.id)
    entries = by_request(provider.settled_ledger())
    assert len(rows) == DROPS
    for row in rows:
        [entry] = entries[row["request_id"]]
        assert (row["usage_source"], row["charged_nanos"]) == ("provider", cost_nanos(entry))
        assert entry.completion_tokens == 40
    budget = gateway.key_state(key.secret)["budget"]
    assert usd_to_nanos(budget["spent_usd"]) == sum(row["charged_nanos"] for row in rows)
    assert usd_to_nanos(budget["reserved_usd"]) == 0


async def test_cancelled_under_a_budget_the_bound_is_charged(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    key = gateway.create_key("cancel", budget_usd="100")
    await _drop_many(gateway, key.secret, "cancel", seed=2)
    rows = gateway.settled_rows(key.id)
    entries = by_request(provider.settled_ledger())
    assert len(rows) == DROPS
    for row in rows:
        found: list[Entry] = entries[row["request_id"]]
        bill = sum(cost_nanos(entry) for entry in found)
        if row["usage_source"] == "provider":  # it was over before the leaving was noticed
            assert row["charged_nanos"] == bill
        else:
            assert row["usage_source"] == "estimated"
            assert row["charged_nanos"] == row["reserved_nanos"] >= bill
    assert any(row["outcome"] == "client_gone" for row in rows)
    assert usd_to_nanos(gateway.key_state(key.secret)["budget"]["reserved_usd"]) == 0


async def test_without_a_budget_nothing_is_lost_and_nothing_doubled(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    key = gateway.create_key("free")
    await _drop_many(gateway, key.secret, "chat", seed=3)
    rows = gateway.settled_rows(key.id)
    entries = by_request(provider.settled_ledger())
    assert len(rows) == DROPS
    for row in rows:
        assert len(entries[row["request_id"]]) <= 1
        if row["usage_source"] == "provider":
            [entry] = entries[row["request_id"]]
            assert row["charged_nanos"] == cost_nanos(entry)
        elif row["usage_source"] == "none":  # gone while a connection was opened: nothing had left
            assert not entries[row["request_id"]]
        else:
            assert row["usage_source"] in ("partial", "estimated")
            assert row["charged_nanos"] > 0


@pytest.mark.parametrize("stream", [True, False])
async def test_cancel_closes_the_upstream_within_a_tenth_of_a_second(
    gateway: RunningGateway, provider: FakeProvider, stream: bool
) -> None:
    key = gateway.create_key("quick")
    delays = []
    for _ in range(5):
        body = chat_body("tokens=2000 delay_ms=5", stream=stream, model="cancel")
        before = provider.stats()
        accepted = until(lambda before=before: provider.stats()["accepted"] > before["accepted"])
        _, left_at = await leave_after(gateway.port, key.secret, body, 1200 if stream else 0, then=accepted)
        await until(lambda before=before: _closes(provider.stats()) > _closes(before))
        # Both clocks are CLOCK_MONOTONIC.
        delays.append(provider.stats()["closed_by_client"][-1]["monotonic"] - left_at)
    assert sorted(delays)[2] < CANCEL_SECONDS, delays
    assert min(delays) > 0, delays


async def test_a_drained_stream_leaves_the_provider_undisturbed(
    gateway: RunningGateway, provider: FakeProvider
) -> None:
    key = gateway.create_key("undisturbed")
    closed = len(provider.stats()["closed_by_client"])
    body = chat_body("tokens=30 delay_ms=5", stream=True, model="drain")
    request_id, _ = await leave_after(gateway.port, key.secret, body, 1200)
    [row] = by_request(gateway.settled_rows(key.id))[request_id]
    assert (row["usage_source"], row["outcome"], row["output_tokens"]) == ("provider", "completed", 30)
    assert len(provider.stats()["closed_by_client"]) == closed
