"""Stages run in their order, and one that breaks refuses."""

import logging

import pytest

from gateway_proxy.core.errors import Forbidden, GatewayError
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.pipeline import Pipeline
from tests.support.exchanges import make_exchange


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
