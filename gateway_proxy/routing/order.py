"""The order in which a request tries its targets.

Promises an order that depends on nothing but the arguments: the caller brings the breakers' verdict and the random
numbers. Whether a further target is tried at all belongs to the relay and `retry_budget`.
"""

from collections.abc import Callable, Iterable
from random import Random

from gateway_proxy.core.catalog import Target


def order_targets(
    targets: Iterable[Target], is_open: Callable[[Target], bool], random: Random
) -> tuple[Target, ...]:
    """The targets in the order given; those of the same tier stand where the first of them stands, by weight.

    Within a tier the order is a weighted random choice without replacement. Weight 0 is drained: such a target
    comes after all others. A target whose breaker is open is left out, unless that leaves none: with nothing to
    fall back to, the upstream's own answer beats a guess.
    """
    given = tuple(targets)
    if len(given) < 2:
        return given
    healthy = [target for target in given if not is_open(target)] or given
    groups: dict[object, list[Target]] = {}
    drained: list[Target] = []
    for position, target in enumerate(healthy):
        if target.weight <= 0:
            drained.append(target)
        else:
            group = ("position", position) if target.tier is None else ("tier", target.tier)
            groups.setdefault(group, []).append(target)
    ordered: list[Target] = []
    for group_targets in groups.values():
        ordered += _draw_by_weight(group_targets, random)
    return (*ordered, *drained)


def _draw_by_weight(targets: list[Target], random: Random) -> list[Target]:
    if len(targets) < 2:
        return targets
    # Efraimidis and Spirakis (2006): exponential keys with the weights as rates give sampling without replacement.
    keys = {index: random.expovariate(target.weight) for index, target in enumerate(targets)}
    return [targets[index] for index in sorted(keys, key=keys.__getitem__)]
