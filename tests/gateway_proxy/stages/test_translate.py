"""Targets that speak another dialect are told in theirs, or drop out."""

from typing import Any

import pytest

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.route import InputBound
from gateway_proxy.stages.translate import translate_targets
from tests.support.exchanges import make_exchange, make_model, make_route, make_target

NATIVE, FOREIGN, MUTE = make_target("native"), make_target("foreign"), make_target("mute")


class Words:
    def __init__(self, bound: InputBound) -> None:
        self.route = make_route(bound=bound)


class FakeTranslator:
    def __init__(self, bound: InputBound | None) -> None:
        self.bound = bound

    def translate(self, exchange: Exchange, target: Target) -> Any:
        if self.bound is None:
            raise BadExchange("no", param="n")
        return Words(self.bound)


def translate(bound: InputBound | None, *targets: Target) -> Exchange:
    exchange = make_exchange(None, make_model(*targets), make_route())
    translate_targets(exchange, {"foreign": FakeTranslator(bound), "mute": None})
    return exchange


@pytest.mark.parametrize(("tokens", "covered"), [(40, 100), (400, 400)])
def test_the_larger_body_is_the_bound(tokens: int, covered: int) -> None:
    exchange = translate(InputBound(tokens, opaque=True, unbounded="x"), NATIVE, FOREIGN, MUTE)
    assert exchange.route is not None and exchange.translated is not None
    assert exchange.route.bound == InputBound(covered, opaque=True, unbounded="x")
    assert list(exchange.translated) == [("foreign", "foreign-m")] and exchange.targets == (NATIVE, FOREIGN)


def test_who_cannot_be_told_drops_out_and_why_stays() -> None:
    exchange = translate(None, FOREIGN, NATIVE, MUTE)
    assert exchange.targets == (NATIVE,) and exchange.translated is None
    assert [(name, error.param) for name, error in exchange.obstacles.items()] == [("foreign", "n")]
    assert make_exchange().obstacles == {}
