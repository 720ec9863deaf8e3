"""Targets are tried in the order of the file, by weight within a tier."""

from collections import Counter
from random import Random

from gateway_proxy.core.catalog import Target
from gateway_proxy.routing.order import order_targets


def _target(name: str, weight: float = 1, tier: int | None = None) -> Target:
    return Target(provider=name, model="m", weight=weight, tier=tier)


def _order(targets: list[Target], seed: int = 1, open_names: str = "") -> str:
    ordered = order_targets(targets, lambda target: target.provider in open_names, Random(seed))
    return "".join(target.provider for target in ordered)


def test_without_tiers_in_the_order_given() -> None:
    targets = [_target("a", 1), _target("b", 100), _target("c", 5)]
    assert {_order(targets, seed) for seed in range(20)} == {"abc"}


def test_a_tier_stands_where_its_first_target_stands() -> None:
    targets = [_target("a"), _target("x", tier=2), _target("b"), _target("y", tier=2), _target("z", tier=1)]
    assert {_order(targets, seed) for seed in range(50)} == {"axybz", "ayxbz"}


def test_first_choice_follows_the_weights() -> None:
    targets = [_target("a", 1, tier=1), _target("b", 3, tier=1)]
    random = Random(4)
    first = Counter(order_targets(targets, lambda _: False, random)[0].provider for _ in range(8000))
    assert 0.73 < first["b"] / 8000 < 0.77


def test_order_within_a_tier_is_without_replacement_by_weight() -> None:
    targets = [_target("a", 1, tier=1), _target("b", 2, tier=1), _target("c", 7, tier=1)]
    random = Random(4)
    orders = Counter(
        "".join(t.provider for t in order_targets(targets, lambda _: False, random)) for _ in range(8000)
    )
    assert len(orders) == 6
    assert abs(orders["cba"] / 8000 - 0.7 * 2 / 3) < 0.02
    assert abs(orders["abc"] / 8000 - 0.1 * 2 / 9) < 0.01


def test_same_random_numbers_same_order() -> None:
    targets = [_target(name, tier=1) for name in "abcdef"]
    assert _order(targets, 9) == _order(targets, 9)
    assert len({_order(targets, seed) for seed in range(10)}) > 5


def test_weight_zero_comes_after_all_others() -> None:
    targets = [_target("a", 0), _target("b", 0, tier=1), _target("c", 1, tier=1), _target("d")]
    assert _order(targets) == "cdab"


def test_open_targets_are_left_out_unless_all_are() -> None:
    targets = [_target("a"), _target("b"), _target("c", 0)]
    assert _order(targets, open_names="a") == "bc"
    assert _order(targets, open_names="ab") == "c"
    assert _order(targets, open_names="abc") == "abc"
    assert _order([_target("a")], open_names="a") == "a"
    assert _order([]) == ""
