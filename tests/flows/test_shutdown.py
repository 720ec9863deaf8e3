"""SIGTERM: clients learn of it and go elsewhere, what runs is finished or told, the books are whole, and a second one forces."""

import asyncio
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.waiting import wait_until

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'
CHAT = "/v1/chat/completions"
AT_ONCE_SECONDS = 3.0


def test_an_idle_gateway_stops_at_once(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES)
    begun = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - begun < AT_ONCE_SECONDS


def test_a_running_answer_is_finished_first(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, server="drain_seconds = 20")
    key = gateway.create_key()
    body = chat_body("tokens=5 delay_ms=300")
    answers: list[tuple[int, object]] = []

    def ask() -> None:
        answers.append(gateway.fetch(CHAT, secret=key.secret, body=body))

    client = threading.Thread(target=ask)
    client.start()
    wait_until_running(gateway, 1)
    begun = time.monotonic()
    assert gateway.stop() == 0
    client.join(10)
    assert [status for status, _ in answers] == [200]
    assert time.monotonic() - begun < 1.5 + AT_ONCE_SECONDS
    assert len(gateway.ledger_rows(key.id)) == 1


def test_clients_are_sent_elsewhere_while_a_stream_is_finished(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, server="drain_seconds = 20")
    key = gateway.create_key(budget_usd="100")
    kept, stream = connect(gateway), connect(gateway)
    assert ask(kept, key.secret).headers.get("connection") is None
    stream.request("POST", CHAT, *order(key.secret, "tokens=20 delay_ms=150", stream=True))
    events = stream.getresponse()
    os.kill(gateway.pid, signal.SIGTERM)
    wait_until_unready(gateway)

    # As long as somebody asks, he is served, on connections old and new, and told to come to them no more.
    assert ask(kept, key.secret).headers["connection"] == "close"
    fresh = connect(gateway)
    assert ask(fresh, key.secret).headers["connection"] == "close"
    with pytest.raises((http.client.NotConnected, ConnectionError)):
        kept.auto_open = 0
        kept.request("GET", "/healthz")

    # Then new connections are refused, and the stream goes on to its end.
    deadline = time.monotonic() + 10
    while True:
        try:
            fresh.connect()
        except ConnectionRefusedError:
            break
        fresh.close()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert events.read().endswith(b"data: [DONE]\n\n")
    stream.close()
    assert gateway.wait() == 0
    assert [row["outcome"] for row in gateway.ledger_rows(key.id)] == ["completed"] * 4
    assert "Traceback" not in gateway.log_text()


async def test_at_the_deadline_a_stream_is_told_and_settled(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, server="drain_seconds = 1")
    key = gateway.create_key(budget_usd="1")
    async with Client(gateway.origin, key.secret) as client:
        asking = asyncio.create_task(client.send(chat_body("tokens=400 delay_ms=50", stream=True)))
        await asyncio.to_thread(wait_until_accepted, fake_provider, 1)
        begun = time.monotonic()
        assert await asyncio.to_thread(gateway.stop) == 0
        assert time.monotonic() - begun < 1 + AT_ONCE_SECONDS
        answer = await asking
    assert not answer.error
    assert not answer.finished
    assert b'"error"' in answer.body.rpartition(b"data: ")[2]
    [row] = gateway.ledger_rows(key.id)
    assert row["charged_nanos"] > 0


async def test_a_second_signal_forces_and_the_books_follow(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, server="drain_seconds = 60")
    key = gateway.create_key(budget_usd="1")
    async with Client(gateway.origin, key.secret) as client:
        asking = asyncio.create_task(client.send(chat_body("tokens=400 delay_ms=50", stream=True)))
        await asyncio.to_thread(wait_until_accepted, fake_provider, 1)
        os.kill(gateway.pid, signal.SIGTERM)
        await asyncio.to_thread(wait_until_unready, gateway)
        begun = time.monotonic()
        os.kill(gateway.pid, signal.SIGTERM)
        assert await asyncio.to_thread(gateway.wait) == 1
        assert time.monotonic() - begun < AT_ONCE_SECONDS
        answer = await asking
    assert b'"error"' in answer.body.rpartition(b"data: ")[2]
    gateway.start()
    [row] = gateway.settled_rows(key.id)
    assert row["charged_nanos"] > 0
    assert "ended by a second signal" in gateway.log_text()


@pytest.mark.slow
async def test_a_restart_under_200_streams_loses_none(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    """Clients do what a load balancer does: they ask `/readyz`, and who is refused the connection tries again."""
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES, server="drain_seconds = 30")
    key = gateway.create_key(budget_usd="100")
    ends = False
    ready = asyncio.Event()
    ready.set()

    async def watch() -> None:
        while True:
            if await asyncio.to_thread(gateway.is_ready):
                ready.set()
            else:
                ready.clear()
            await asyncio.sleep(0.05)

    async def work(client: Client) -> list[Answer]:
        answers = []
        while not ends or len(answers) < 2:
            await ready.wait()
            answer = await client.send(
                chat_body("tokens=10 delay_ms=200", stream=True, max_tokens=32), timeout_seconds=60
            )
            if answer.status == 0 and "ConnectorError" in answer.error:
                await asyncio.sleep(0.1)
                continue
            answers.append(answer)
        return answers

    async with Client(gateway.origin, key.secret, connections=200) as client:
        watching = asyncio.create_task(watch())
        working = [asyncio.create_task(work(client)) for _ in range(200)]
        await asyncio.to_thread(wait_until_running, gateway, 150)
        os.kill(gateway.pid, signal.SIGTERM)
        assert await asyncio.to_thread(gateway.wait) == 0
        gateway.spawn()
        await asyncio.to_thread(gateway.wait_until_ready)
        ends = True
        answers = [answer for answers in await asyncio.gather(*working) for answer in answers]
        watching.cancel()
    assert len(answers) >= 400
    assert {(a.status, a.error, a.finished) for a in answers} == {(200, "", True)}
    rows = gateway.settled_rows(key.id)
    assert sorted(row["request_id"] for row in rows) == sorted(answer.request_id for answer in answers)
    assert {row["outcome"] for row in rows} == {"completed"}


def connect(gateway: RunningGateway) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)


def order(secret: str, directive: str = "", *, stream: bool = False) -> tuple[str, dict[str, str]]:
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    return json.dumps(chat_body(directive, stream=stream, max_tokens=32)), headers


def ask(connection: http.client.HTTPConnection, secret: str) -> http.client.HTTPResponse:
    connection.request("POST", CHAT, *order(secret))
    response = connection.getresponse()
    assert response.status == 200
    response.read()
    return response


def wait_until_running(gateway: RunningGateway, count: int) -> None:
    wait_until(lambda: gateway.readiness()["running"] >= count)


def wait_until_accepted(provider: FakeProvider, count: int) -> None:
    """What runs only at the gateway is not owed yet when it is cut."""
    wait_until(lambda: len(provider.ledger()) >= count)


def wait_until_unready(gateway: RunningGateway) -> None:
    """/readyz says so at once, on a new connection each time."""
    wait_until(lambda: gateway.fetch("/readyz")[0] == 503, 2)
