"""Scopes: endpoint, model, provider."""

import pytest

from gateway_proxy.core.errors import BadExchange, Denied, Forbidden, ModelForbidden, ModelUnknown
from gateway_proxy.stages.allow import Allow
from tests.support.exchanges import make_exchange, make_model, make_policy, make_route, make_target

MODEL = make_model(make_target("a"), make_target("b"))


def test_within_the_scope_everything_stays() -> None:
    exchange = make_exchange(make_policy(), MODEL, make_route())
    Allow().check(exchange)
    assert exchange.targets == MODEL.targets


def test_targets_of_other_providers_are_skipped() -> None:
    exchange = make_exchange(make_policy(allowed_providers=("b",)), MODEL, make_route())
    Allow().check(exchange)
    assert [target.provider for target in exchange.targets] == ["b"]


@pytest.mark.parametrize(
    ("scope", "error", "code"),
    [
        ({"allowed_endpoints": ("embeddings",)}, Forbidden, "endpoint_not_allowed"),
        ({"allowed_models": ("other",)}, ModelForbidden, "model_not_found"),
        ({"allowed_models": ()}, ModelForbidden, "model_not_found"),
        ({"allowed_providers": ("c",)}, Forbidden, "provider_not_allowed"),
    ],
)
def test_outside(scope: dict[str, object], error: type[Denied], code: str) -> None:
    with pytest.raises(error) as refused:
        Allow().check(make_exchange(make_policy(**scope), MODEL, make_route()))
    assert (refused.value.status, refused.value.code) == (403, code)


def test_a_model_that_nobody_serves_in_this_dialect_is_said_to_those_who_may_know() -> None:
    exchange = make_exchange(make_policy(), MODEL, make_route())
    exchange.targets = ()
    with pytest.raises(BadExchange) as refused:
        Allow().check(exchange)
    assert (refused.value.status, refused.value.code, refused.value.param) == (
        400,
        "dialect_not_served",
        "model",
    )
    stranger = make_exchange(make_policy(allowed_models=()), MODEL, make_route())
    stranger.targets = ()
    with pytest.raises(ModelForbidden):
        Allow().check(stranger)


def test_a_forbidden_model_can_look_unknown() -> None:
    with pytest.raises(ModelUnknown) as refused:
        Allow(hide_forbidden_models=True).check(
            make_exchange(make_policy(allowed_models=()), MODEL, make_route())
        )
    assert refused.value.gateway == {"reason": "unknown_model"}


def test_why_a_provider_cannot_be_told_is_said_to_those_who_may_use_it() -> None:
    for allowed, code in ((("a",), "not_translatable"), (("b",), "dialect_not_served")):
        exchange = make_exchange(make_policy(allowed_providers=allowed), MODEL, make_route())
        exchange.targets = ()
        exchange.obstacles = {"a": BadExchange("no", code="not_translatable")}
        with pytest.raises(BadExchange) as refused:
            Allow().check(exchange)
        assert refused.value.code == code
