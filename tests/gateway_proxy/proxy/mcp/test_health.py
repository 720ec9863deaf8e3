"""The breaker of a server, and what is counted."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.health import ServerHealth, WatchedLink
from gateway_proxy.proxy.mcp.link import Peer, SessionEnded
from gateway_proxy.routing.breaker import FAULTS_TO_OPEN, Breakers
from tests.support.mcp_link import FakeLink

PEER = Peer("2026-07-28")
FAILED = UpstreamFailed("The server broke off.", detail="why")


class Failing(FakeLink):
    """Whose exchanges fail with `error`, if there is one."""

    @asynccontextmanager
    async def exchange(self, *_: Any) -> Any:
        yield self
        if self.error is not None:
            raise self.error


@pytest.fixture
def health() -> ServerHealth:
    clock = Clock()
    return ServerHealth("s", Breakers(clock), clock)


async def call(link: WatchedLink) -> None:
    link.health.check()
    async with link.exchange(PEER, "tools/call", {}):
        pass


async def test_one_that_fails_again_and_again_is_left_alone(health: ServerHealth) -> None:
    failing = Failing(error=FAILED)
    link = WatchedLink(failing, health)
    for _ in range(FAULTS_TO_OPEN):
        with pytest.raises(UpstreamFailed, match="broke off"):
            await call(link)
    with pytest.raises(UpstreamFailed, match="left alone") as caught:
        await call(link)
    assert caught.value.status == 503 and caught.value.retry_after_ms
    assert (health.state, health.calls, health.failures) == ("down", FAULTS_TO_OPEN, FAULTS_TO_OPEN)
    assert health.last_error == "The server broke off. (why)" and health.last_error_at
    failing.error = None
    failing.pages = ([],)
    await link.ask(PEER, "tools/list")  # discovery asks all the same
    assert health.state == "up"
    await call(link)


async def test_a_forgotten_session_is_no_fault(health: ServerHealth) -> None:
    link = WatchedLink(Failing(error=SessionEnded("ended")), health)
    for _ in range(FAULTS_TO_OPEN):
        with pytest.raises(SessionEnded):
            await call(link)
    assert (health.state, health.failures) == ("up", 0)


async def test_a_link_that_is_closed_ends_its_session(health: ServerHealth) -> None:
    ended: list[Peer] = []

    class Ending(FakeLink):
        async def end(self, peer: Peer) -> None:
            ended.append(peer)

    link = WatchedLink(Ending([]), health)
    await link.close()
    assert not ended
    peer = await link.connect()
    await link.close()
    assert ended == [peer]


async def test_connecting_and_asking_count_too(health: ServerHealth) -> None:
    link = WatchedLink(FakeLink(error=FAILED), health)
    with pytest.raises(UpstreamFailed):
        await link.ask(PEER, "tools/list")
    assert (await link.connect()).version and health.failures == 1
