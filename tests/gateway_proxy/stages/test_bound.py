"""The bound of a request: never below what it can cost, and a refusal where nothing bounds it."""

import pytest

from gateway_proxy.core.errors import ModelForbidden
from gateway_proxy.core.route import Bound, InputBound
from gateway_proxy.core.usage import Price, Rates, Usage
from gateway_proxy.stages.bound import bound_input_tokens, bound_output_tokens, bound_request
from tests.support.exchanges import make_model, make_route, make_target


def test_text_costs_its_bytes_at_most() -> None:
    target = make_target()
    assert bound_request(make_route(), make_model(target), target, 50) == Bound(
        100, 50, 100 * 2000 + 50 * 10_000
    )


def test_each_choice_counts() -> None:
    target = make_target()
    assert bound_request(make_route(choices=3), make_model(target), target, 50).output_tokens == 150


def test_the_models_window_bounds_the_input() -> None:
    target = make_target(context_tokens=80)
    assert bound_input_tokens(make_route(), make_model(target), target) == 80
    assert bound_input_tokens(make_route(), make_model(target, max_input_tokens=60), target) == 60
    assert bound_input_tokens(make_route(), make_model(target, max_input_tokens=5000), target) == 100


def test_opaque_input_is_bounded_by_the_model_alone() -> None:
    target, route = make_target(), make_route(bound=InputBound(tokens=5, opaque=True))
    assert bound_input_tokens(route, make_model(target, max_input_tokens=9000), target) == 9000
    with pytest.raises(ModelForbidden) as refused:
        bound_input_tokens(route, make_model(target), target)
    assert refused.value.code == "cost_unbounded"


def test_tiers_and_classes_are_bounded_by_the_dearest() -> None:
    price = Price(
        Rates(input=1_000_000, output=1_000_000),
        tiers=((200_000, Rates(input=3_000_000, output=2_000_000, reasoning=9_000_000)),),
    )
    target = make_target(price=price)
    assert bound_request(make_route(), make_model(target), target, 50).nanos == 100 * 3 + 50 * 9


def test_counted_units_and_requests_are_part_of_it() -> None:
    price = Price(Rates(images=5_000_000, requests=7_000_000, seconds=1_000_000))
    target = make_target(price=price)
    units = Usage(images=2, millis=1001)
    route = make_route(bound=InputBound(units=units), wants_output_cap=False)
    assert bound_request(route, make_model(target), target, 0).nanos == 2 * 5 + 7 + 2


def test_opaque_input_that_costs_nothing_needs_no_bound() -> None:
    target = make_target(price=Price(Rates(images=5_000_000)))
    route = make_route(bound=InputBound(tokens=7, opaque=True, units=Usage(images=2)), wants_output_cap=False)
    assert bound_request(route, make_model(target), target, 0).nanos == 2 * 5


def test_free_needs_no_bound_and_unpriced_has_none() -> None:
    free = make_target(price=Price(Rates()))
    route = make_route(bound=InputBound(unbounded="because"))
    assert bound_request(route, make_model(free), free, 50).nanos == 0
    for target, code in ((make_target(), "cost_unbounded"), (make_target(price=None), "model_unpriced")):
        with pytest.raises(ModelForbidden) as refused:
            bound_request(route, make_model(target), target, 50)
        assert refused.value.code == code


def test_output_without_a_maximum() -> None:
    target = make_target()
    route = make_route(max_output_tokens=None)
    assert bound_output_tokens(route, make_model(target, max_output_tokens=4000), target, 10**12) == 4000
    assert (
        bound_output_tokens(route, make_model(target), target, 10_200_000) == 1000
    )  # what is left after the input
    assert bound_output_tokens(route, make_model(target), target, 0) == 256
    assert bound_output_tokens(route, make_model(target, max_output_tokens=16), target, 0) == 16
