"""The load generator against the fake provider: its counts must be the server's."""

import asyncio
from collections.abc import Callable

import pytest

from bench.load import Load, percentile, run_load_async
from tests.support.fake_provider import FakeProvider, fake_provider, start_fake_provider

__all__ = ["fake_provider", "start_fake_provider"]


def load_on(provider: FakeProvider, **options: object) -> Load:
    return Load(url=provider.base_url + "/chat/completions", **options)  # type: ignore[arg-type]


async def test_a_closed_loop_sends_exactly_so_many(fake_provider: FakeProvider) -> None:
    result = await run_load_async(load_on(fake_provider, connections=3, requests=50))
    stats = fake_provider.stats()
    assert (result.statuses, result.errors) == ({200: 50}, {})
    assert (stats["accepted"], stats["connections"]) == (50, 3 + 1)
    assert len(result.latencies) == len(result.first_bytes) == 50
    assert all(first <= last for first, last in zip(result.first_bytes, result.latencies, strict=True))


async def test_a_closed_loop_ends_in_time(fake_provider: FakeProvider) -> None:
    result = await run_load_async(load_on(fake_provider, connections=2, seconds=0.2, warmup_seconds=0.05))
    assert 0.2 <= result.elapsed < 2
    assert 0 < result.answered < fake_provider.stats()["accepted"]


async def test_events_are_counted_however_they_are_split(fake_provider: FakeProvider) -> None:
    fake_provider.set_mode("split", bytes=3, flush_ms=0, tokens=5)
    body = b'{"model":"m","stream":true,"messages":[]}'
    result = await run_load_async(load_on(fake_provider, requests=2, body=body))
    assert result.chunks == 2 * (1 + 5 + 1 + 1)


async def test_an_open_loop_keeps_its_rate_and_its_clock(fake_provider: FakeProvider) -> None:
    fake_provider.set_mode("honest", head_delay_ms=20)
    result = await run_load_async(load_on(fake_provider, connections=1, rate=200, requests=20))
    assert result.answered == 20
    # One connection serves 50 a second: the last waits for all before it, and its latency says so.
    assert result.latencies[-1] > 20 * 0.02 - 20 / 200 - 0.05
    spread = await run_load_async(load_on(fake_provider, connections=20, rate=200, requests=20, poisson=True))
    assert spread.latencies[9] < 0.1


async def test_broken_answers_are_errors_and_the_load_goes_on(fake_provider: FakeProvider) -> None:
    fake_provider.set_mode("cut", times=2)
    result = await run_load_async(load_on(fake_provider, requests=5))
    assert (result.statuses, result.errors) == ({200: 3}, {"closed early": 2})
    fake_provider.set_mode("silent", times=1)
    result = await run_load_async(load_on(fake_provider, requests=2, timeout_seconds=0.1))
    assert (result.statuses, result.errors) == ({200: 1}, {"timed out": 1})


@pytest.mark.parametrize(("rate", "seconds"), [(None, 30), (500, 0.5)])
async def test_a_server_that_dies_ends_the_load(
    start_fake_provider: Callable[..., FakeProvider], rate: float | None, seconds: float
) -> None:
    provider = start_fake_provider()
    asyncio.get_running_loop().call_later(0.1, provider.kill)
    load = load_on(provider, connections=2, seconds=seconds, rate=rate)
    result = await asyncio.wait_for(run_load_async(load), 5)
    assert result.answered > 0
    assert result.errors["cannot connect"] == 2
    assert sum(result.errors.values()) > 2


async def test_a_load_without_an_end_or_over_tls_is_refused() -> None:
    with pytest.raises(ValueError, match="never ends"):
        await run_load_async(Load(url="http://127.0.0.1:1"))
    with pytest.raises(ValueError, match="plain http only"):
        await run_load_async(Load(url="https://127.0.0.1:1", requests=1))


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([], 50) == 0
