"""The order in which a request tries its targets.

Promises an order that depends on nothing but the arguments: the caller brings the breakers' verdict and the random
numbers. Whether a further target is tried at all belongs to the relay and `retry_budget`.
"""

import math
from collections.abc import Callable, Iterable
from hashlib import blake2b
from random import Random

from gateway_proxy.core.catalog import Target

Draw = Callable[[list[Target]], list[Target]]
"""Puts the targets of one tier into order; all their weights are above 0."""
# However slow, a target gets this much of its weight, so that it is seen when it becomes fast again.
LEAST_SHARE = 0.05
# Twice as slow, an eighth of the requests.
STEEPNESS = 3


def order_targets(
    targets: Iterable[Target], is_open: Callable[[Target], bool], draw: Draw
) -> tuple[Target, ...]:
    """The targets in the order given; those of the same tier stand where the first of them stands, as drawn.

    Weight 0 is drained: such a target comes after all others. A target whose breaker is open is left out, unless that
    leaves none: with nothing to fall back to, the upstream's own answer beats a guess.
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
        ordered += group_targets if len(group_targets) < 2 else draw(group_targets)
    return (*ordered, *drained)


def draw_by_weight(targets: list[Target], random: Random) -> list[Target]:
    """A weighted random choice without replacement."""
    # Efraimidis and Spirakis (2006): exponential keys with the weights as rates give sampling without replacement.
    return _sort(targets, [random.expovariate(target.weight) for target in targets])


def draw_by_latency(
    targets: list[Target], random: Random, latency_of: Callable[[Target], float | None]
) -> list[Target]:
    """As `draw_by_weight`, with a target's weight the smaller the slower it is than the fastest; unknown counts as fast."""
    latencies = [latency_of(target) for target in targets]
    best = min((latency for latency in latencies if latency), default=0.0)
    keys = []
    for target, latency in zip(targets, latencies, strict=True):
        share = max((best / latency) ** STEEPNESS, LEAST_SHARE) if latency else 1.0
        keys.append(random.expovariate(target.weight * share))
    return _sort(targets, keys)


def draw_by_hash(targets: list[Target], value: str) -> list[Target]:
    """The same order for the same value. Weights hold over many values, and a target that comes or goes moves only what is its.

    Weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005).
    """
    keys = []
    for target in targets:
        named = f"{value}\0{target.provider}\0{target.model}".encode()
        drawn = int.from_bytes(blake2b(named, digest_size=7).digest()) + 1  # 56 bits, none of them 0
        keys.append(-math.log(drawn / (2**56 + 1)) / target.weight)
    return _sort(targets, keys)


def _sort(targets: list[Target], keys: list[float]) -> list[Target]:
    return [targets[index] for index in sorted(range(len(targets)), key=keys.__getitem__)]
