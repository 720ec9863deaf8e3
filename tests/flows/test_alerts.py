"""Budget events reach the outbox once per key, period, limit and percent: over refusals, edits and SIGKILL."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway, provider_toml
from tests.support.money import model_toml

CHAT = "/v1/chat/completions"
EVENT_SECONDS = 3.0


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(provider_toml(provider.base_url) + model_toml())


@pytest.fixture(scope="module")
def cost_nanos(gateway: RunningGateway) -> int:
    """What one request of `_spend` costs."""
    key = gateway.create_key("probe", budget_usd="1")
    _spend(gateway, key)
    return int(gateway.settled_rows(key.id)[0]["charged_nanos"])


def _spend(gateway: RunningGateway, key: CreatedKey) -> str:
    """One request that costs always the same; returns the error's code, "" if it passed."""
    status, body = gateway.fetch(CHAT, secret=key.secret, body=chat_body(max_tokens=16))
    return "" if status == 200 else str(body["error"]["code"])


def _events(gateway: RunningGateway, key: CreatedKey, count: int) -> list[tuple[str, int]]:
    """(type, percent) of the key's events, once there are `count` of them or the time is up."""
    deadline = time.monotonic() + EVENT_SECONDS
    while True:
        found = gateway.query(
            "SELECT type, dedupe FROM outbox WHERE key_id = ? AND type LIKE 'budget.%' ORDER BY dedupe",
            key.id,
        )
        if len(found) >= count or time.monotonic() > deadline:
            return sorted((row["type"], int(row["dedupe"].rsplit(":", 1)[1])) for row in found)
        time.sleep(0.02)


def _budget(nanos: int) -> str:
    return f"{nanos // 10**9}.{nanos % 10**9:09d}"


EXCEEDED = ("budget.exceeded", 100)


def _thresholds(*percents: int) -> list[tuple[str, int]]:
    return [("budget.threshold", percent) for percent in percents]


def test_each_threshold_fires_once_and_the_first_refusal_uses_the_budget_up(
    gateway: RunningGateway, cost_nanos: int
) -> None:
    key = gateway.create_key(budget_usd=_budget(cost_nanos * 10), alert_thresholds=[15, 50, 100])
    _spend(gateway, key)
    _spend(gateway, key)
    assert _events(gateway, key, 1) == _thresholds(15)
    gateway.settled_rows()
    assert _events(gateway, key, 1) == _thresholds(15)
    while not (code := _spend(gateway, key)):
        pass
    assert code == "insufficient_quota"
    expected = [EXCEEDED, *_thresholds(15, 50, 100)]
    assert _events(gateway, key, 4) == expected
    assert _spend(gateway, key) == "insufficient_quota"
    gateway.settled_rows()
    assert _events(gateway, key, 4) == expected


def test_events_tell_whose_budget_it_is(gateway: RunningGateway, cost_nanos: int) -> None:
    key = gateway.create_key("named", budget_usd=_budget(cost_nanos * 10), alert_thresholds=[5])
    _spend(gateway, key)
    _events(gateway, key, 1)
    [event] = [event for event in gateway.events() if event["key_id"] == key.id]
    assert event["organization"] == "default"
    assert '"key_name":"named"' in event["data_json"]
    assert key.secret not in event["data_json"]


def test_a_request_beyond_the_whole_limit_is_no_alert(gateway: RunningGateway, cost_nanos: int) -> None:
    key = gateway.create_key(budget_usd=_budget(cost_nanos), alert_thresholds=[100])
    status, _ = gateway.fetch(CHAT, secret=key.secret, body=chat_body(max_tokens=100_000))
    assert status == 429
    gateway.settled_rows()
    assert _events(gateway, key, 0) == []


def test_an_edit_that_puts_the_spend_beyond_a_threshold_fires_without_traffic(
    gateway: RunningGateway, cost_nanos: int
) -> None:
    key = gateway.create_key(budget_usd=_budget(cost_nanos * 100), alert_thresholds=[50])
    _spend(gateway, key)
    gateway.update_key(key.id, budget_usd=_budget(cost_nanos * 2))
    assert _events(gateway, key, 1) == _thresholds(50)
    gateway.update_key(key.id, budget_usd=_budget(cost_nanos * 3))
    gateway.update_key(key.id, budget_usd=_budget(cost_nanos))
    # Other limits: the events belong to (key, period, limit, percent).
    assert _events(gateway, key, 3) == [EXCEEDED, *_thresholds(50, 50)]


@pytest.mark.parametrize("refuse", [False, True])
def test_sigkill_neither_loses_nor_doubles_an_event(
    gateway: RunningGateway, cost_nanos: int, refuse: bool
) -> None:
    key = gateway.create_key(budget_usd=_budget(cost_nanos * 10), alert_thresholds=[20])
    _spend(gateway, key)
    _spend(gateway, key)  # 20 % is reached; the event may still be in memory only
    gateway.restart()
    assert _events(gateway, key, 1) == _thresholds(20)
    if refuse:
        while not _spend(gateway, key):
            pass
        gateway.restart()
        assert _spend(gateway, key) == "insufficient_quota"
        assert _events(gateway, key, 2) == [EXCEEDED, *_thresholds(20)]
        gateway.restart()
        assert _spend(gateway, key) == "insufficient_quota"
        gateway.settled_rows()
        assert _events(gateway, key, 2) == [EXCEEDED, *_thresholds(20)]


def test_events_do_not_need_the_request_log(
    provider: FakeProvider, run_gateway: Callable[..., RunningGateway], cost_nanos: int
) -> None:
    tables: list[Any] = [provider_toml(provider.base_url), model_toml(), "[logs]\nrequests = false\n"]
    silent = run_gateway("".join(tables))
    key = silent.create_key(budget_usd=_budget(cost_nanos * 10))
    while not _spend(silent, key):
        pass
    assert _events(silent, key, 1) == [EXCEEDED]
