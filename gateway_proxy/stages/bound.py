"""The proven upper bound of one request: pure arithmetic over a route, a model and its dearest target."""

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.errors import ModelForbidden
from gateway_proxy.core.route import Bound, Route
from gateway_proxy.core.usage import MILLION, Price, Rates

MIN_OUTPUT_TOKENS = 256


def _unbounded(why: str) -> ModelForbidden:
    return ModelForbidden(
        f"Under a budget this request is refused, because its cost has no upper bound: {why}.",
        code="cost_unbounded",
        gateway={"reason": why},
    )


def bound_input_tokens(route: Route, model: ModelEntry, target: Target) -> int:
    """Raises ModelForbidden (cost_unbounded) when nothing bounds the input."""
    limit = model.max_input_tokens if model.max_input_tokens is not None else target.context_tokens
    if route.bound.opaque:
        if limit is None:
            raise _unbounded(
                "images, audio, files or stored context, and max_input_tokens of the model is not configured"
            )
        return limit
    return route.bound.tokens if limit is None else min(route.bound.tokens, limit)


def bound_output_tokens(route: Route, model: ModelEntry, target: Target, remaining_nanos: int) -> int:
    """Output tokens per choice that may be asked of `target` where the client named no maximum.

    The model's own maximum or what the rest of the budget can pay, the smaller; at least 256 (or the model's
    maximum, where that is smaller): if the rest cannot pay these, the claim will not fit.
    """
    limit = model.max_output_tokens if model.max_output_tokens is not None else target.context_tokens
    floor = MIN_OUTPUT_TOKENS if limit is None else min(MIN_OUTPUT_TOKENS, limit)
    price = _priced(model, target)
    rates = price.dearest()
    output_rate = rates.dearest_output()
    if not output_rate:
        return floor if limit is None else limit
    fixed_micro = _fixed_micro(route, model, target, rates)
    affordable = (remaining_nanos * MILLION - fixed_micro) // (output_rate * route.choices)
    return max(affordable if limit is None else min(limit, affordable), floor)


def bound_request(route: Route, model: ModelEntry, target: Target, output_tokens_each: int) -> Bound:
    """The bound of one attempt at `target` when each choice has at most `output_tokens_each`.

    Raises ModelForbidden (model_unpriced, cost_unbounded).
    """
    price = _priced(model, target)
    if price.is_free():
        return Bound(0, 0, 0)
    if route.bound.unbounded is not None:
        raise _unbounded(route.bound.unbounded)
    rates = price.dearest()
    micro = _fixed_micro(route, model, target, rates)
    output_tokens = output_tokens_each * route.choices if route.wants_output_cap else 0
    micro += output_tokens * rates.dearest_output()
    return Bound(bound_input_tokens(route, model, target), output_tokens, -(-micro // MILLION))


def _priced(model: ModelEntry, target: Target) -> Price:
    if target.price is None:
        raise unpriced(model)
    return target.price


def unpriced(model: ModelEntry) -> ModelForbidden:
    """The refusal of a model without a price under a budget."""
    return ModelForbidden(
        f"Under a budget the model '{model.name}' is refused, because it has no price on this gateway.",
        code="model_unpriced",
        param="model",
    )


def _fixed_micro(route: Route, model: ModelEntry, target: Target, rates: Rates) -> int:
    """Nano-USD × 10⁶ of everything but the output that a maximum bounds."""
    units = route.bound.units
    return (
        bound_input_tokens(route, model, target) * rates.dearest_input(audio=route.bound.opaque)
        + rates.requests
        + units.images * rates.images
        + units.characters * rates.characters
        + units.searches * rates.searches
        + -(-units.millis // 1000) * rates.seconds
        + units.output * rates.dearest_output()
    )
