"""Body → route and model."""

import pytest

from gateway_proxy.core.errors import BadExchange, ModelUnknown
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.stages.route import Route
from tests.support.exchanges import make_exchange, make_keeper, make_model, make_target

MODEL = make_model()
STAGE = Route(
    {"openai": OpenAIDialect()},
    lambda name: MODEL if name == "m" else None,
    {"openai": frozenset()},
    make_keeper(),
)


def test_the_parsed_value_is_the_only_copy() -> None:
    exchange = make_exchange(body=b'{"model":"m","messages":[]}', content_type="application/json")
    STAGE.check(exchange)
    assert exchange.body == b""
    assert exchange.route is not None and exchange.route.body == {"model": "m", "messages": []}
    assert (exchange.model, exchange.targets) == (MODEL, MODEL.targets)


def test_targets_that_cannot_be_spoken_to_drop_out() -> None:
    model = make_model(make_target("a"), make_target("b"))
    stage = Route({"openai": OpenAIDialect()}, lambda _: model, {"openai": {"a": None}}, make_keeper())
    exchange = make_exchange(body=b'{"model":"m","messages":[]}')
    stage.check(exchange)
    assert [target.provider for target in exchange.targets] == ["b"]


def test_unknown_models_and_bad_bodies() -> None:
    with pytest.raises(ModelUnknown) as unknown:
        STAGE.check(make_exchange(body=b'{"model":"M","messages":[]}'))
    assert (unknown.value.status, unknown.value.gateway) == (404, {"reason": "unknown_model"})
    with pytest.raises(BadExchange):
        STAGE.check(make_exchange(body=b"[]"))
