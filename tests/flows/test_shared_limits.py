"""Two gateways on one PostgreSQL store and one Redis server: one truth about rates, slots and budgets."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
CHAT = "/v1/chat/completions"
PRICED = '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\nprice = { input = 1, output = 2 }\n'


def ask(gateway: RunningGateway, secret: str) -> int:
    """The status of a chat; asked again where a budget could not be read in time, which a busy machine may cause."""
    for _ in range(20):
        status, _ = gateway.ask(secret)
        if status != 503:
            return status
        time.sleep(0.1)
    return status


def read_budget(gateway: RunningGateway, secret: str) -> dict[str, Any]:
    """A key's budget when nothing of it is reserved any more: charges are told behind the answers."""
    deadline = time.monotonic() + 20
    while True:
        budget: dict[str, Any] = gateway.key_state(secret)["budget"]
        if float(budget["reserved_usd"]) == 0:
            return budget
        assert time.monotonic() < deadline, budget
        time.sleep(0.02)


class Pair:
    """Two gateways with the same settings, and what they stand on."""

    def __init__(self, first: RunningGateway, second: RunningGateway, redis: RedisServer) -> None:
        self.first, self.second, self.redis = first, second, redis
        self.both = (first, second)

    def shared(self, gateway: RunningGateway) -> dict[str, Any]:
        return gateway.readiness()["shared"]

    def wait_until_ready(self, seconds: float = 10.0) -> None:
        wait_until(lambda: all(self.shared(gateway)["state"] == "ready" for gateway in self.both), seconds)


@pytest.fixture
def pair(
    postgres: PostgresServer,
    own_redis: RedisServer,
    start_gateway: Callable[..., RunningGateway],
    fake_provider: FakeProvider,
    tmp_path: Path,
) -> Iterator[Pair]:
    pepper = tmp_path / "pepper"
    pepper.touch(0o600)
    pepper.write_text("a pepper of both gateways, long enough")
    tables = (
        f'[security]\npepper = "file:{pepper}"\n[shared]\nredis_url = "{own_redis.url}"\n'
        f"{provider_toml(fake_provider.base_url)}{PRICED}"
    )
    runner = asyncio.Runner()
    url = runner.run(postgres.make_store())
    first = start_gateway(tables, store_url=url)
    second = start_gateway(tables, store_url=url)
    pair = Pair(first, second, own_redis)
    pair.wait_until_ready()
    yield pair
    for gateway in pair.both:
        gateway.kill()
    runner.run(postgres.take_back(url))
    runner.close()


def test_two_gateways_share_every_limit(pair: Pair) -> None:
    first, second = pair.both
    rated = first.create_key("rated", requests_per_minute=4)
    answers = [ask(gateway, rated.secret) for gateway in pair.both * 4]
    assert (answers.count(200), answers.count(429)) == (4, 4)

    budgeted = first.create_key("budgeted", budget_usd="1")
    assert ask(first, budgeted.secret) == 200
    spent = read_budget(second, budgeted.secret)["spent_usd"]
    assert float(spent) > 0
    assert ask(second, budgeted.secret) == 200
    for gateway in pair.both:
        assert float(read_budget(gateway, budgeted.secret)["spent_usd"]) == pytest.approx(2 * float(spent))

    # A budget for a few of them: whichever gateways are asked, no more pass than it can pay.
    poor = first.create_key("poor", budget_usd="0.000000001")
    needed = first.fetch(CHAT, secret=poor.secret, body=BODY)[1]["error"]["gateway"]["budget"]["needed"]
    few = first.create_key("few", budget_usd=f"{float(needed) + float(spent) * 2.5:.9f}")
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda gateway: ask(gateway, few.secret), pair.both * 8))
    assert set(answers) == {200, 429}
    few_spent = float(read_budget(first, few.secret)["spent_usd"])
    assert few_spent == pytest.approx(answers.count(200) * float(spent)) and 1 <= answers.count(200) <= 3

    # A token pays from its parent's budget, at another gateway than the one that made it.
    status, minted = first.fetch("/v1/key/ephemeral", secret=budgeted.secret, body={"ttl_seconds": 600})
    assert status == 201, minted
    before = float(read_budget(first, budgeted.secret)["spent_usd"])
    wait_until(lambda: ask(second, minted["token"]) == 200)
    after = float(read_budget(first, budgeted.secret)["spent_usd"])
    assert after == pytest.approx(before + float(spent))


def test_a_server_that_comes_back_empty_forgives_nothing(pair: Pair) -> None:
    first, second = pair.both
    key = first.create_key(budget_usd="1", requests_per_minute=1000)
    for gateway in pair.both:
        assert ask(gateway, key.secret) == 200
    spent = read_budget(first, key.secret)["spent_usd"]
    unlimited = first.create_key("rated", requests_per_minute=1000)

    pair.redis.kill()
    status, answer = first.fetch(CHAT, secret=key.secret, body=BODY)
    assert (status, answer["error"]["code"]) == (503, "budget_unverifiable")
    assert ask(second, unlimited.secret) == 200  # a rate goes on, from the local share
    pair.redis.start()
    began = time.monotonic()
    pair.wait_until_ready()
    assert time.monotonic() - began < 3

    for gateway in pair.both:
        assert read_budget(gateway, key.secret)["spent_usd"] == spent
    assert ask(second, key.secret) == 200


def test_a_killed_gateway_leaves_its_spend_behind(pair: Pair, fake_provider: FakeProvider) -> None:
    first, second = pair.both
    key = first.create_key(budget_usd="1")
    assert ask(second, key.secret) == 200
    second.kill()
    assert ask(first, key.secret) == 200
    second.start()
    pair.wait_until_ready()
    assert ask(second, key.secret) == 200
    budgets = [read_budget(gateway, key.secret) for gateway in pair.both]
    assert budgets[0] == budgets[1]
    assert "Traceback" not in first.log_text() + second.log_text()
