"""SIGTERM: a gateway with nothing to do ends at once, one with running streams as soon as they have ended."""

import threading
import time
from collections.abc import Callable

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
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
    body = {"model": "chat", "messages": [{"role": "user", "content": "[[fake: tokens=5 delay_ms=300]]"}]}
    answers: list[tuple[int, object]] = []

    def ask() -> None:
        answers.append(gateway.fetch("/v1/chat/completions", secret=key.secret, body=body))

    client = threading.Thread(target=ask)
    client.start()
    deadline = time.monotonic() + 10
    while not gateway.readiness()["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    begun = time.monotonic()
    assert gateway.stop() == 0
    client.join(10)
    assert [status for status, _ in answers] == [200]
    assert time.monotonic() - begun < 1.5 + AT_ONCE_SECONDS
    assert len(gateway.ledger_rows(key.id)) == 1
