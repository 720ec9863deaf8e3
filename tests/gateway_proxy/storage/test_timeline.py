import pytest

from gateway_proxy.core.latency import find_percentile
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import Store

HOUR_MS = 3_600_000
STEP_MS = 300_000
START = 480_000 * HOUR_MS


@pytest.fixture
async def filled(store: Store) -> Store:
    logs = [
        LogRow(request_id=f"req_{n}", at=START + n * STEP_MS, gateway_id="g", organization="default",
               owner="ada" if n % 2 else "bob", key_id="key_1", admitted=True, status=200, latency_ms=100 * n)
        for n in range(24)
    ]  # fmt: skip
    ledger = [
        LedgerRow(request_id="req_1", attempt=1, gateway_id="g", organization="default", owner="ada", key_id="key_1",
                  provider="p", model_requested="m", model_sent="m", operation="chat", admitted_at=START + STEP_MS,
                  charged_nanos=5)
    ]  # fmt: skip
    await store.ledger.append("g", Batch(logs=logs[:10], ledger=ledger))
    await store.ledger.append("g", Batch(logs=logs[10:]))
    return store


async def test_steps_come_without_gaps_and_sum_up(filled: Store) -> None:
    steps = await filled.timeline.steps(START - 1, START + 2 * HOUR_MS + 1, HOUR_MS, organization="default")
    assert [(step.start_at - START, step.requests) for step in steps] == [
        (-HOUR_MS, 0), (0, 12), (HOUR_MS, 12), (2 * HOUR_MS, 0),
    ]  # fmt: skip
    assert [step.cost_nanos for step in steps] == [0, 5, 0, 0]
    assert find_percentile(steps[1].latencies, 0.5) == pytest.approx(550, rel=0.1)
    fine = await filled.timeline.steps(
        START, START + HOUR_MS, 2 * STEP_MS, organization="default", owner="ada"
    )
    assert [step.requests for step in fine] == [1] * 6
    assert await filled.timeline.steps(START, START + HOUR_MS, HOUR_MS, organization="acme") == [
        type(steps[0])(START)
    ]


@pytest.mark.parametrize("step_ms", [0, -STEP_MS, 1000, HOUR_MS + STEP_MS])
async def test_a_step_that_is_not_kept_is_refused(store: Store, step_ms: int) -> None:
    with pytest.raises(ValueError, match="five minutes"):
        await store.timeline.steps(0, 10, step_ms)


async def test_old_steps_become_hours_and_nothing_is_lost(filled: Store) -> None:
    async def hours(owner: str | None = None) -> list[tuple[int, dict[int, int]]]:
        steps = await filled.timeline.steps(
            START, START + 2 * HOUR_MS, HOUR_MS, organization="default", owner=owner
        )
        return [(step.requests, step.latencies) for step in steps]

    before = [await hours(), await hours("ada")]
    assert await filled.timeline.fold(START + HOUR_MS + 1) == 12 * 2
    late = LogRow(request_id="req_late", at=START, gateway_id="g", organization="default", owner="ada", key_id="key_1",
                  admitted=True, latency_ms=0)  # fmt: skip
    assert [await hours(), await hours("ada")] == before
    fine = await filled.timeline.steps(START, START + HOUR_MS, STEP_MS, organization="default")
    assert [step.requests for step in fine] == [12, *[0] * 11]
    await filled.ledger.append("g", Batch(logs=[late]))
    assert await filled.timeline.fold(START + HOUR_MS) == 2
    assert [requests for requests, _ in await hours()] == [13, 12]
    assert await filled.timeline.fold(START + HOUR_MS) == 0
