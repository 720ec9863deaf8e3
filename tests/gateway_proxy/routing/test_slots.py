"""Slots of providers and targets: never more than allowed, all given back."""

from collections import Counter

from gateway_proxy.core.catalog import Target
from gateway_proxy.routing.slots import Running, TargetSlots


def test_targets_and_providers_have_bounds_of_their_own() -> None:
    running: Running = Counter()
    slots = TargetSlots(running, {"a": 3})
    narrow, wide = Target("a", "m", max_parallel=1), Target("a", "n")
    assert slots.take(narrow) and not slots.take(narrow)
    assert slots.take(wide) and slots.take(wide)
    assert not slots.take(wide)  # the provider is full
    slots.give_back(narrow)
    assert slots.take(narrow)
    for target in (narrow, wide, wide):
        slots.give_back(target)
    assert not running


def test_a_new_revision_knows_what_runs() -> None:
    running: Running = Counter()
    before, after = TargetSlots(running, {}), TargetSlots(running, {"a": 1})
    target = Target("a", "m")
    assert before.take(target)
    assert not after.take(target)
    before.give_back(target)
    assert after.take(target)
