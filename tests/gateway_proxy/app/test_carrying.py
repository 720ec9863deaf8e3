"""What is noted reaches the store, also when that was away."""

import asyncio
import logging

import pytest

from gateway_proxy.app import carrying
from gateway_proxy.app.carrying import Carrier
from gateway_proxy.core.tasks import end, spawn
from gateway_proxy.storage.database import StoreError


class Numbers(Carrier):
    """Carries numbers to a store that is away `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.waiting: list[int] = []
        self.carried: list[int] = []
        self.all_carried = asyncio.Event()

    def note(self, number: int) -> None:
        self.waiting.append(number)
        self._due.set()

    def _describe(self) -> str:
        return "numbers"

    async def _carry(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("away")
        self.carried += self.waiting
        self.waiting.clear()
        self.all_carried.set()


async def test_what_is_noted_is_carried_again_and_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(carrying, "FLUSH_SECONDS", 0.001)
    monkeypatch.setattr(carrying, "RETRY_SECONDS", 0.001)
    caplog.set_level(logging.ERROR, "gateway_proxy.books")
    numbers = Numbers(failures=2)
    numbers.note(1)
    running = spawn(numbers.run(), "carry numbers")
    async with asyncio.timeout(10):
        await numbers.all_carried.wait()
    await end([running])
    assert numbers.carried == [1]
    assert caplog.messages == ["the store does not take numbers: away"] * 2


async def test_the_last_try_may_fail() -> None:
    numbers = Numbers(failures=1)
    numbers.note(1)
    await numbers.close()
    assert numbers.waiting == [1]
    await numbers.close()
    assert numbers.carried == [1]
