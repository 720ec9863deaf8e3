"""How long a gateway that ends goes on accepting: until nobody asks for work any more, and never too long."""

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway_proxy.app import winding_down
from gateway_proxy.app.winding_down import wind_down


class Edge:
    """What `wind_down` asks of the strict edge."""

    def __init__(self, *, is_used: bool = True) -> None:
        self.is_used = is_used
        self.busy = 0
        self.note: Callable[[str], None] = lambda path: None
        self.closes_idle = False

    def wind_down(self, note: Callable[[str], None]) -> None:
        self.note = note

    def pre_shutdown(self) -> None:
        self.closes_idle = True


class Site:
    def __init__(self) -> None:
        self.stopped_at = 0.0

    async def stop(self) -> None:
        self.stopped_at = time.monotonic()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winding_down, "QUIET_SECONDS", 0.06)
    monkeypatch.setattr(winding_down, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(winding_down, "POLL_SECONDS", 0.002)


async def run(edge: Edge, seconds: float, path: str = "") -> float:
    """How long it listens, in seconds, while somebody asks for the path every few milliseconds."""

    async def ask() -> None:
        while True:
            edge.note(path)
            await asyncio.sleep(0.004)

    site, began = Site(), time.monotonic()
    asking = asyncio.create_task(ask()) if path else None
    ends_at = asyncio.get_running_loop().time() + seconds
    await wind_down([edge], [site], ends_at, is_work=lambda path: path != "/readyz")  # type: ignore[list-item]
    if asking is not None:
        asking.cancel()
    assert edge.closes_idle
    return site.stopped_at - began


async def test_nobody_is_connected_so_nobody_has_to_be_told() -> None:
    assert await run(Edge(is_used=False), 10) < 0.05


async def test_it_listens_until_it_has_been_quiet_for_a_while() -> None:
    assert await run(Edge(), 10) >= 0.06


async def test_health_checks_are_no_work() -> None:
    assert await run(Edge(), 10, "/readyz") < 0.2


async def test_whoever_goes_on_asking_is_served_for_half_of_the_time() -> None:
    assert 0.2 <= await run(Edge(), 0.4, "/v1/models") < 0.35


async def test_bodies_on_their_way_are_waited_for_until_the_end() -> None:
    edge = Edge(is_used=False)
    edge.busy = 1
    began = time.monotonic()
    await run(edge, 0.1)
    assert 0.1 <= time.monotonic() - began < 1
