"""Notifications of a real gateway: signed webhooks and a service, once per occasion, over SIGKILL, never in the way."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.client import chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.money import model_toml
from tests.support.receiver import Received, Receiver
from tests.support.waiting import wait_until

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def start(
    provider: FakeProvider, start_gateway: Callable[..., RunningGateway], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], RunningGateway]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return lambda tables: start_gateway(provider_toml(provider.base_url) + model_toml() + tables)


def hook_toml(receiver: Receiver, events: str = '["*"]', path: str = "", allow: str = "true") -> str:
    return (
        f'[[notifications.webhooks]]\nurl = "{receiver.url}{path}"\nsecret = "env:HOOK_SECRET"\n'
        f"events = {events}\nallow_private = {allow}\n"
    )


def types(requests: list[Received]) -> list[str]:
    return [request.json["type"] for request in requests]


def wait_for_state(gateway: RunningGateway, state: str, error: str = "") -> dict:
    """A delivery that was tried and is in this state; with `error` one whose error says so, which is written after the try."""
    deadline = time.monotonic() + 10
    asked = "SELECT * FROM deliveries WHERE state = ? AND attempts > 0 AND error LIKE ?"
    while not (found := gateway.query(asked, state, f"%{error}%")):
        assert time.monotonic() < deadline, gateway.query("SELECT * FROM deliveries")
        time.sleep(0.02)
    return found[0]


def test_acts_on_keys_arrive_signed_and_without_secrets(start, receiver: Receiver) -> None:
    gateway = start(hook_toml(receiver))
    key = gateway.create_key("alpha")
    rotated = gateway.rotate_key(key.id)
    soon = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    gateway.update_key(key.id, expires_at=soon)
    requests = receiver.wait(3)
    assert sorted(types(requests)) == ["key.created", "key.rotated", "key.updated"]
    for request in requests:
        assert Webhook(SECRET).verify(request.body, request.headers) == request.json
        assert (
            set(request.json) == {"type", "timestamp", "data"} and request.json["data"]["key_name"] == "alpha"
        )
        assert key.secret.encode() not in request.body and rotated.secret.encode() not in request.body
    updated = next(request for request in requests if request.json["type"] == "key.updated")
    assert updated.json["data"]["changed"] == ["expires_at"] and updated.json["data"]["actor"] == "tests"
    assert SECRET not in gateway.log_text()


def test_an_event_in_flight_at_a_kill_arrives_again_under_the_same_id(start, receiver: Receiver) -> None:
    hold = threading.Event()
    receiver.answer = lambda _: 200 if hold.wait(10) else 500
    gateway = start(hook_toml(receiver, '["budget.*"]'))
    key = gateway.create_key("alpha", budget_usd="0.005", alert_thresholds=[1, 50, 100])
    while gateway.fetch("/v1/chat/completions", secret=key.secret, body=chat_body(max_tokens=16))[0] == 200:
        pass
    first = receiver.wait(1)[0].headers["webhook-id"]
    gateway.kill()
    hold.set()
    gateway.start()
    events = {row["id"] for row in gateway.events() if row["type"].startswith("budget.")}
    wait_until(lambda: gateway.query("SELECT 1 FROM deliveries"))
    wait_until(lambda: not gateway.query("SELECT 1 FROM deliveries WHERE state <> 'delivered'"))
    assert len(events) == 4
    arrived = [request.headers["webhook-id"] for request in receiver.requests]
    assert set(arrived) == events and arrived.count(first) >= 2
    occasions = {row["dedupe"] for row in gateway.events()}
    assert len(occasions) == len(gateway.events())
    bodies = {request.body for request in receiver.requests if request.headers["webhook-id"] == first}
    assert len(bodies) == 1


def test_a_dead_endpoint_delays_neither_another_one_nor_requests(start, receiver: Receiver) -> None:
    hold = threading.Event()
    receiver.answer = lambda request: 200 if request.path.endswith("good") or hold.wait(10) else 500
    gateway = start(hook_toml(receiver, path="/dead") + hook_toml(receiver, path="/good"))
    key = gateway.create_key("alpha")
    receiver.wait(2)
    gateway.update_key(key.id, name="beta")
    wait_until(lambda: sum(request.path.endswith("good") for request in receiver.requests) >= 2, 5)
    assert gateway.fetch("/v1/models", secret=key.secret)[0] == 200
    hold.set()


def test_a_private_address_is_refused_unless_it_is_allowed(start, receiver: Receiver) -> None:
    gateway = start(hook_toml(receiver, allow="false"))
    gateway.create_key("alpha")
    wait_for_state(gateway, "pending", "not public")
    assert receiver.requests == []


def test_410_ends_an_endpoint_and_a_reload_brings_a_new_one(start, provider, receiver: Receiver) -> None:
    receiver.answer = lambda request: 410 if request.path.endswith("old") else 200
    gateway = start(hook_toml(receiver, path="/old"))
    gateway.create_key("one")
    assert wait_for_state(gateway, "failed")["status"] == 410
    revision = gateway.readiness()["config"]["revision"]
    gateway.write_config(provider_toml(provider.base_url) + model_toml() + hook_toml(receiver, path="/new"))
    deadline = time.monotonic() + 10
    while gateway.readiness()["config"]["revision"] == revision:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    gateway.create_key("two")
    requests = receiver.wait(2)
    assert [request.path for request in requests] == ["/hook/old", "/hook/new"]


def test_an_admin_tests_an_endpoint_and_sends_again(start, receiver: Receiver) -> None:
    gateway = start(hook_toml(receiver, '["budget.*"]'))
    token = gateway.admin_token()
    _, page = gateway.fetch("/api/v1/notifications/endpoints", secret=token)
    [endpoint] = page["data"]
    assert endpoint["name"] == receiver.url and endpoint["events"] == ["budget.*"]
    path = f"/api/v1/notifications/endpoints/{endpoint['id']}/test"
    status, tested = gateway.fetch(path, secret=token, body={})
    assert (status, tested["state"], tested["http_status"]) == (200, "delivered", 200)
    path = f"/api/v1/notifications/deliveries/{tested['id']}/redeliver"
    assert gateway.fetch(path, secret=token, body={})[0] == 200
    first, second = receiver.wait(2)
    assert first.json["type"] == "notification.test"
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == tested["event_id"]


def test_a_service_is_told_in_words(start, receiver: Receiver) -> None:
    gateway = start(f'[notifications]\nurls = ["json://user:s3cret@127.0.0.1:{receiver.port}/svc"]\n')
    gateway.create_key("alpha")
    [request] = receiver.wait(1, timeout_seconds=30)
    assert request.json["title"] == "alpha: key created"
    assert wait_for_state(gateway, "delivered")["shown"] == "json://…"
    assert "s3cret" not in gateway.log_text()
    assert b"s3cret" not in gateway.store_path.read_bytes()
