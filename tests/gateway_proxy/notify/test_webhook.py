"""Webhooks against the specification's own library, and what they must not do."""

import base64
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from standardwebhooks.webhooks import Webhook

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.clock import Clock
from gateway_proxy.notify import webhook
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.webhook import WebhookSender, sign, write_body

from .conftest import SECRET

Send = Callable[..., WebhookSender]


@pytest.fixture
async def sender() -> AsyncIterator[Send]:
    made = []

    def make(url: str, *, allow_private: bool = True) -> WebhookSender:
        endpoint = Endpoint("hook-1", "shown", Secret(url), ("*",), Secret(SECRET), allow_private)
        made.append(WebhookSender(endpoint, Clock()))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def test_the_specifications_library_accepts_it(sender, receiver, event) -> None:
    outcome = await sender(receiver.url).send_one(event)
    assert outcome.ok and outcome.status == 200
    [received] = receiver.requests
    verified = Webhook(SECRET).verify(received.body, received.headers)
    assert verified == received.json == {
        "type": "budget.threshold",
        "timestamp": "2026-09-21T14:13:20.123Z",
        "data": {"key_id": "key_1", "key_name": "Ä", "percent": 80},
    }  # fmt: skip
    assert received.headers["webhook-id"] == event.id
    assert received.headers["content-type"] == "application/json"


@pytest.mark.parametrize("size", [24, 33, 64])
def test_signatures_equal_the_librarys(size: int, event) -> None:
    from datetime import UTC, datetime

    secret = "whsec_" + base64.b64encode(bytes(range(size))).decode()
    body = write_body(event)
    expected = Webhook(secret).sign(event.id, datetime.fromtimestamp(1_700_000_000, UTC), body.decode())
    assert sign(secret, event.id, 1_700_000_000, body) == expected


async def test_id_and_body_are_the_same_for_each_attempt(sender, receiver, event) -> None:
    for _ in range(2):
        await sender(receiver.url).send_one(event)
    first, second = receiver.requests
    assert first.body == second.body and first.headers["webhook-id"] == second.headers["webhook-id"]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_every_2xx_is_taken(sender, receiver, event, status) -> None:
    receiver.answer = lambda _: status
    assert (await sender(receiver.url).send_one(event)).ok


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 410, 429, 500])
async def test_all_else_is_not_and_redirects_are_not_followed(sender, receiver, event, status) -> None:
    receiver.answer = lambda _: status
    outcome = await sender(receiver.url).send_one(event)
    assert not outcome.ok and outcome.status == status and outcome.is_gone == (status == 410)
    assert len(receiver.requests) == 1


async def test_events_of_a_batch_are_sent_at_once(sender, receiver, event) -> None:
    barrier = threading.Barrier(3, timeout=5)

    def wait(_: object) -> int:
        barrier.wait()
        return 200

    receiver.answer = wait
    outcomes = await sender(receiver.url).send([replace(event, id=f"evt_{n}") for n in range(3)])
    assert [outcome.ok for outcome in outcomes] == [True] * 3


async def test_a_receiver_that_hangs_is_given_up(sender, receiver, event, monkeypatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_SECONDS", 0.1)
    release = threading.Event()
    receiver.answer = lambda _: 200 if release.wait(5) else 500
    began = time.monotonic()
    outcome = await sender(receiver.url).send_one(event)
    release.set()
    assert "no answer within 0.1 s" in outcome.error and time.monotonic() - began < 3


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"]
)
async def test_private_addresses_are_not_connected_to(sender, receiver, event, host) -> None:
    url = f"http://{host}:{receiver.port}/hook"
    outcome = await sender(url, allow_private=False).send_one(event)
    assert not outcome.ok and receiver.requests == []
    assert any(word in outcome.error for word in ("not public", "resolved", "InvalidUrl"))


async def test_a_name_that_turns_private_after_a_look_is_not_connected_to(
    sender, receiver, event, monkeypatch
) -> None:
    """Whatever anybody resolved before: what counts is the address of the connection."""
    asked = []

    def rebind(host: str, *_: object, **__: object) -> list[tuple]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    outcome = await sender(f"http://rebind.example:{receiver.port}/", allow_private=False).send_one(event)
    assert asked and "not public" in outcome.error and receiver.requests == []


async def test_errors_do_not_repeat_the_url(sender, event, monkeypatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = await sender(f"http://user:s3cret@127.0.0.1:{port}/t0ken").send_one(event)
    assert "cannot be connected to" in outcome.error
    assert "s3cret" not in outcome.error and "t0ken" not in outcome.error


async def test_a_name_that_does_not_exist_and_a_broken_answer_are_explained(
    sender, event, monkeypatch
) -> None:
    def fail(*_: object, **__: object) -> list[tuple]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        assert "resolved" in (await sender("http://nowhere.example/").send_one(event)).error
    with socket.create_server(("127.0.0.1", 0)) as server:

        def break_off() -> None:
            peer, _ = server.accept()
            peer.recv(100)
            peer.close()

        threading.Thread(target=break_off, daemon=True).start()
        outcome = await sender(f"http://127.0.0.1:{server.getsockname()[1]}/").send_one(event)
    assert "connection broke" in outcome.error
