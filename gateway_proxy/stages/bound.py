"""The proven upper bound of one request: pure arithmetic over a route, a model and its dearest target."""

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.errors import ModelForbidden
from gateway_proxy.core.route import Bound, Route
from gateway_proxy.core.usage import MILLION, Ceiling

MIN_OUTPUT_TOKENS = 256
NOTHING = Bound(0, 0, 0)
# A named tuple's own constructor costs three times as much.
_new_tuple = tuple.__new__


def _unbounded(why: str) -> ModelForbidden:
    return ModelForbidden(
        f"Under a budget this request is refused, because its cost has no upper bound: {why}.",
        code="cost_unbounded",
        gateway={"reason": why},
    )


def bound_input_tokens(route: Route, model: ModelEntry, target: Target) -> int:
    """Raises ModelForbidden (cost_unbounded) when nothing bounds the input."""
    limit = model.max_input_tokens
    if limit is None:
        limit = target.context_tokens
    bound = route.bound
    if bound.opaque:
        if limit is None and target.price is not None and not target.price.ceiling().any_input:
            return bound.tokens  # however many there are, they cost nothing
        if limit is None:
            raise _unbounded(
                "images, audio, files or stored context, and max_input_tokens of the model is not configured"
            )
        return limit
    tokens = bound.tokens
    return tokens if limit is None or tokens < limit else limit


def bound_output_tokens(route: Route, model: ModelEntry, target: Target, remaining_nanos: int) -> int:
    """Output tokens per choice that may be asked of `target` where the client named no maximum.

    The model's own maximum or what the rest of the budget can pay, the smaller; at least 256 (or the model's
    maximum, where that is smaller): if the rest cannot pay these, the claim will not fit.
    """
    limit = model.max_output_tokens if model.max_output_tokens is not None else target.context_tokens
    floor = MIN_OUTPUT_TOKENS if limit is None else min(MIN_OUTPUT_TOKENS, limit)
    ceiling = _ceiling(model, target)
    if not ceiling.output:
        return floor if limit is None else limit
    fixed_micro = _fixed_micro(route, bound_input_tokens(route, model, target), ceiling)
    affordable = (remaining_nanos * MILLION - fixed_micro) // (ceiling.output * route.choices)
    return max(affordable if limit is None else min(limit, affordable), floor)


def bound_request(route: Route, model: ModelEntry, target: Target, output_tokens_each: int) -> Bound:
    """The bound of one attempt at `target` when each choice has at most `output_tokens_each`.

    Raises ModelForbidden (model_unpriced, cost_unbounded).
    """
    price, bound = target.price, route.bound
    if price is None:
        raise unpriced(model)
    ceiling = price.ceiling()
    if ceiling.is_free:
        return NOTHING
    if bound.unbounded is not None:
        raise _unbounded(bound.unbounded)
    input_tokens = bound_input_tokens(route, model, target)
    output_tokens = output_tokens_each * route.choices if route.wants_output_cap else 0
    if bound.units is None and not bound.opaque:  # text alone, as most are: `_fixed_micro` without the call
        micro = input_tokens * ceiling.text_input + ceiling.requests
    else:
        micro = _fixed_micro(route, input_tokens, ceiling)
    micro += output_tokens * ceiling.output
    return _new_tuple(Bound, (input_tokens, output_tokens, -(-micro // MILLION)))


def unpriced(model: ModelEntry) -> ModelForbidden:
    """The refusal of a model without a price under a budget."""
    return ModelForbidden(
        f"Under a budget the model '{model.name}' is refused, because it has no price on this gateway.",
        code="model_unpriced",
        param="model",
    )


def _ceiling(model: ModelEntry, target: Target) -> Ceiling:
    if target.price is None:
        raise unpriced(model)
    return target.price.ceiling()


def _fixed_micro(route: Route, input_tokens: int, ceiling: Ceiling) -> int:
    """Nano-USD × 10⁶ of everything but the output that a maximum bounds."""
    bound, rates = route.bound, ceiling.rates
    micro = input_tokens * (ceiling.any_input if bound.opaque else ceiling.text_input) + ceiling.requests
    units = bound.units
    if units is not None:
        micro += (
            units.images * rates.images
            + units.characters * rates.characters
            + units.searches * rates.searches
            + -(-units.millis // 1000) * rates.seconds
            + units.output * ceiling.output
        )
    return micro
