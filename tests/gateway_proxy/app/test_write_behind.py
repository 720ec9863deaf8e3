"""Rows reach the store behind whoever makes them."""

import asyncio
from typing import ClassVar

import pytest

from gateway_proxy.app import write_behind
from gateway_proxy.app.write_behind import WriteBehind
from gateway_proxy.storage.database import StoreError


class Numbers(WriteBehind[int]):
    what: ClassVar[str] = "numbers"
    batch_rows: ClassVar[int] = 2

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.batches: list[list[int]] = []
        self.failures = failures
        self.done = asyncio.Event()

    async def write(self, batch: list[int]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("away")
        self.batches.append(batch)
        if not batch[-1]:
            self.done.set()


async def test_in_order_and_again_once_the_store_is_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(write_behind, "FLUSH_SECONDS", 0)
    monkeypatch.setattr(write_behind, "RETRY_SECONDS", 0)
    numbers = Numbers(failures=2)
    running = asyncio.create_task(numbers.run())
    for number in (3, 2, 1, 0):
        numbers.put(number)
    async with asyncio.timeout(10):
        await numbers.done.wait()
    running.cancel()
    assert numbers.batches == [[3, 2], [1, 0]]
    assert "does not take numbers (4 rows wait): away" in caplog.text


async def test_a_close_tries_once_more_and_gives_up() -> None:
    numbers = Numbers(failures=1)
    numbers.put(1)
    await numbers.close()
    assert list(numbers.waiting) == [1]
    await numbers.close()
    assert numbers.batches == [[1]]
