from pathlib import Path

import pytest

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.overview import MAX_POINTS, OverviewAdmin, choose_step
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Usage
from gateway_proxy.storage import open_store

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def act_as(role: Role, email: str = "ada@example.com", organization: str = "default") -> Actor:
    return Actor(name=email, role=role, organization=organization, email=email)


@pytest.fixture
async def overview(tmp_path: Path):
    clock = FakeClock()
    now = clock.now_ms()
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    logs, ledger = [], []
    for n in range(40):
        owner = "ada@example.com" if n % 4 else "bob@example.com"
        common = {"gateway_id": "g", "organization": "default", "owner": owner, "key_id": f"key_{n % 4}"}
        logs.append(LogRow(request_id=f"req_{n}", at=now - n * HOUR_MS // 2, model="m", provider="p", admitted=n % 10 != 0,
                           status=429 if n % 10 == 0 else 200, latency_ms=100 + n, **common))  # fmt: skip
        ledger.append(LedgerRow(request_id=f"req_{n}", attempt=1, provider="p", model_requested="m", model_sent="m",
                                operation="chat", admitted_at=now - n * HOUR_MS // 2, charged_nanos=10**7,
                                usage=Usage(input=3, output=2), **common))  # fmt: skip
    await store.ledger.append("g", Batch(logs=logs, ledger=ledger))
    yield OverviewAdmin(store, clock), now
    await store.close()


async def test_a_range_is_summed_and_compared_with_the_time_before(overview) -> None:
    service, now = overview
    found = await service.describe(act_as(Role.OWNER), now - 10 * HOUR_MS, now + 1)
    assert found.totals["requests"] == sum(point["requests"] for point in found.points)
    assert (found.totals["requests"], found.totals["denied"], found.totals["cost_usd"]) == (18, 3, "0.21")
    assert found.before["requests"] == 18
    assert found.totals["p50_ms"] == pytest.approx(110, rel=0.25)
    assert (found.totals["input_tokens"], found.totals["output_tokens"]) == (63, 42)
    assert [row["key"] for row in found.top_keys][:1] == ["key_0"]
    assert {row["owner"] for row in found.top_owners} == {"ada@example.com", "bob@example.com"}
    assert found.top_models[0]["model"] == "m"
    assert len(found.points) <= MAX_POINTS


async def test_members_see_their_own_keys_and_other_organizations_nothing(overview) -> None:
    service, now = overview
    own = await service.describe(act_as(Role.MEMBER, "bob@example.com"), now - DAY_MS, now + 1)
    assert {row["key"] for row in own.top_keys} == {"key_0"}
    assert {row["owner"] for row in own.top_owners} == {"bob@example.com"}
    assert own.totals["requests"] == 8
    foreign = await service.describe(act_as(Role.OWNER, organization="acme"), now - DAY_MS, now + 1)
    assert foreign.totals["requests"] == 0
    assert foreign.top_keys == []
    assert foreign.totals["p95_ms"] is None
    assert await service.has_requests(act_as(Role.MEMBER, "bob@example.com"))
    assert not await service.has_requests(act_as(Role.OWNER, organization="acme"))


async def test_an_empty_range_is_refused(overview) -> None:
    service, now = overview
    with pytest.raises(Invalid, match="from"):
        await service.describe(act_as(Role.OWNER), now, now)


@pytest.mark.parametrize(
    ("length_ms", "age_ms", "step_ms"),
    [
        (HOUR_MS, 0, 300_000),
        (DAY_MS, 0, 1_800_000),
        (7 * DAY_MS, 0, 6 * HOUR_MS),
        (30 * DAY_MS, 0, DAY_MS),
        (HOUR_MS, 30 * DAY_MS, HOUR_MS),
        (8000 * DAY_MS, 0, 8760 * HOUR_MS),
    ],
)
def test_the_step_keeps_a_range_to_few_points(length_ms: int, age_ms: int, step_ms: int) -> None:
    now = 10_000 * DAY_MS
    assert choose_step(now - age_ms - length_ms, now - age_ms, now) == step_ms
