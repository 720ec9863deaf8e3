"""The product as a process: it starts, serves, survives SIGKILL with its books, and stops on SIGTERM."""

from collections.abc import Callable

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

TABLES = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}


def test_spend_outlives_sigkill_and_a_stop_is_clean(
    start_gateway: Callable[..., RunningGateway], fake_provider: FakeProvider
) -> None:
    gateway = start_gateway(provider_toml(fake_provider.base_url) + TABLES)
    key = gateway.create_key(budget_usd="1")
    status, answer = gateway.fetch("/v1/chat/completions", secret=key.secret, body=BODY)
    assert status == 200, answer
    [row] = gateway.settled_rows(key.id)
    spent = gateway.key_state(key.secret)["budget"]["spent_usd"]
    assert float(spent) > 0
    assert row["usage_source"] == "provider"
    gateway.restart()
    assert gateway.key_state(key.secret)["budget"]["spent_usd"] == spent
    assert gateway.ledger_rows(key.id) == [row]
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log_text()
