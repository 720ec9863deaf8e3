"""Watching a server that announces, falls silent, refuses and comes back, on connections of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway_proxy.storage import postgres_watch
from gateway_proxy.storage.postgres_watch import Watch


class Server:
    """Its connections answer with `row`, hang while `silent`, and refuse while `down`."""

    def __init__(self) -> None:
        self.row, self.silent, self.down, self.losses = 1, False, False, 0
        self.opened: list[FakeConnection] = []

    async def connect(self) -> "FakeConnection":
        if self.down:
            raise OSError("refused")
        if self.silent:
            await asyncio.Event().wait()
        self.opened.append(FakeConnection(self))
        return self.opened[-1]

    def count_loss(self) -> None:
        self.losses += 1

    def announce(self) -> None:
        self.opened[-1].hear()


class FakeConnection:
    def __init__(self, server: Server) -> None:
        self._server, self.terminated = server, False

    async def add_listener(self, channel: str, hear: Any) -> None:
        self.hear = hear

    async def fetchrow(self, sql: str) -> tuple[int]:
        if self._server.silent or self.terminated:
            await asyncio.Event().wait()
        return (self._server.row,)

    def terminate(self) -> None:
        self.terminated = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(postgres_watch, "ASK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(postgres_watch, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(postgres_watch, "ATTEMPT_SECONDS", 10)
    return Server()


@pytest.fixture
async def watch(server: Server) -> AsyncIterator[Watch]:
    watch = Watch(server.connect, server.count_loss, (OSError, TimeoutError))
    await watch.begin("SELECT 1")
    yield watch
    await watch.close()
    assert all(connection.terminated for connection in server.opened)


async def news(watch: Watch) -> Any:
    await asyncio.wait_for(watch.news.wait(), 5)
    watch.news.clear()
    return watch.row


async def test_the_first_answer_is_waited_for_and_later_ones_are_news(watch: Watch, server: Server) -> None:
    assert await news(watch) == (1,) and watch.error is None
    server.row = 2
    server.announce()
    assert await news(watch) == (2,)
    server.row = 3  # and nobody announces it
    while await news(watch) != (3,):
        pass
    assert len(server.opened) == 1 and server.losses == 0


async def test_a_silent_server_is_noticed_and_reached_again_though_attempts_hang(
    watch: Watch, server: Server
) -> None:
    server.silent = True
    while watch.error is None:
        await news(watch)
    assert isinstance(watch.error, TimeoutError) and watch.silence_seconds() > 0.05
    await asyncio.sleep(0.12)  # attempts hang
    server.silent, server.row = False, 7
    while await news(watch) != (7,):
        pass
    assert watch.error is None and server.losses == 1 and len(server.opened) == 2
    assert watch.silence_seconds() < 1


async def test_a_server_that_refuses_is_asked_again(server: Server) -> None:
    server.down = True
    watch = Watch(server.connect, server.count_loss, (OSError, TimeoutError))
    await watch.begin("SELECT 1")
    assert isinstance(watch.error, OSError) and watch.row is None
    server.down = False
    while watch.row is None:
        await news(watch)
    assert watch.error is None and server.losses == 1
    await watch.close()
