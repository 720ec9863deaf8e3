"""Stages run in their order, and one that breaks refuses."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from gateway_proxy.core.errors import Forbidden, GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.pipeline import Pipeline
from tests.support.exchanges import make_exchange, make_policy


class Note:
    def __init__(self, name: str, needs_body: bool, error: Exception | None = None) -> None:
        self.name, self.needs_body, self._error = name, needs_body, error

    def check(self, exchange: Exchange) -> None:
        exchange.extras.setdefault("ran", []).append(self.name)
        if self._error is not None:
            raise self._error


def test_head_first_then_body() -> None:
    pipeline = Pipeline([Note("a", False), Note("b", False), Note("c", True)])
    exchange = make_exchange()
    pipeline.check_head(exchange)
    assert exchange.extras["ran"] == ["a", "b"]
    pipeline.check_body(exchange)
    assert exchange.extras["ran"] == ["a", "b", "c"]


def test_a_head_stage_cannot_come_late() -> None:
    with pytest.raises(ValueError, match="'late'"):
        Pipeline([Note("a", True), Note("late", False)])


def test_a_refusal_ends_the_run() -> None:
    exchange = make_exchange()
    with pytest.raises(Forbidden):
        Pipeline([Note("a", False, Forbidden("no")), Note("b", False)]).check_head(exchange)
    assert exchange.extras["ran"] == ["a"]


def test_a_broken_stage_refuses_and_tells_only_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(GatewayError) as refused:
        Pipeline([Note("guard", True, KeyError("inner secret"))]).check_body(make_exchange())
    assert (refused.value.status, refused.value.code) == (500, "internal_error")
    assert "inner secret" not in refused.value.public + refused.value.detail
    assert "guard" in caplog.text


class Wait:
    """A stage that waits, and something that happens meanwhile."""

    name, needs_body = "waits", True

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._meanwhile = meanwhile

    async def check(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        self._meanwhile()
        exchange.extras.setdefault("ran", []).append(self.name)


class Authenticate:
    name, needs_body = "authenticate", False

    def __init__(self) -> None:
        self.good = {"secret": make_policy()}

    def check(self, exchange: Exchange) -> None:
        secret, exchange.secret = exchange.secret, None
        if secret not in self.good:
            raise Forbidden("revoked")
        exchange.policy = self.good[secret]


async def check_body(pipeline: Pipeline, exchange: Exchange) -> None:
    waiting = pipeline.check_body(exchange)
    exchange.secret = "secret"
    assert waiting is not None
    await waiting


async def test_stages_that_wait_keep_the_order() -> None:
    pipeline = Pipeline([Note("a", False), Note("b", True), Wait(), Note("c", True)])
    exchange = make_exchange()
    assert pipeline.check_head(exchange) is None
    await check_body(pipeline, exchange)
    assert exchange.extras["ran"] == ["a", "b", "waits", "c"]
    assert exchange.secret is None


async def test_a_key_revoked_during_a_wait_is_refused_before_anything_is_reserved() -> None:
    authenticate = Authenticate()
    exchange = make_exchange(authenticate.good["secret"])
    pipeline = Pipeline([authenticate, Wait(authenticate.good.clear), Note("admission", True)])
    with pytest.raises(Forbidden, match="revoked"):
        await check_body(pipeline, exchange)
    assert exchange.extras["ran"] == ["waits"] and exchange.secret is None


async def test_a_key_edited_during_a_wait_keeps_what_the_exchange_began_with() -> None:
    authenticate = Authenticate()
    began_with = authenticate.good["secret"]
    exchange = make_exchange(began_with)
    pipeline = Pipeline([authenticate, Wait(lambda: authenticate.good.update(secret=make_policy()))])
    await check_body(pipeline, exchange)
    assert exchange.policy is began_with


async def test_one_that_breaks_while_it_waits_refuses(caplog: pytest.LogCaptureFixture) -> None:
    def explode() -> None:
        raise KeyError("inner secret")

    with caplog.at_level(logging.ERROR), pytest.raises(GatewayError) as refused:
        await check_body(Pipeline([Wait(explode)]), make_exchange())
    assert refused.value.code == "internal_error" and "waits" in caplog.text
