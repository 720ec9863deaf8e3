"""Targets are tried in the order of the file, by weight within a tier."""

from collections import Counter
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.core.catalog import Target
from gateway_proxy.routing.order import draw_by_hash, draw_by_latency, draw_by_weight, order_targets


def _target(name: str, weight: float = 1, tier: int | None = None) -> Target:
    return Target(provider=name, model="m", weight=weight, tier=tier)


def _order(targets: list[Target], seed: int = 1, open_names: str = "") -> str:
    draw = partial(draw_by_weight, random=Random(seed))
    ordered = order_targets(targets, lambda target: target.provider in open_names, draw)
    return "".join(target.provider for target in ordered)


def test_without_tiers_in_the_order_given() -> None:
    targets = [_target("a", 1), _target("b", 100), _target("c", 5)]
    assert {_order(targets, seed) for seed in range(20)} == {"abc"}


def test_a_tier_stands_where_its_first_target_stands() -> None:
    targets = [_target("a"), _target("x", tier=2), _target("b"), _target("y", tier=2), _target("z", tier=1)]
    assert {_order(targets, seed) for seed in range(50)} == {"axybz", "ayxbz"}


def test_first_choice_follows_the_weights() -> None:
    targets = [_target("a", 1, tier=1), _target("b", 3, tier=1)]
    random = partial(draw_by_weight, random=Random(4))
    first = Counter(order_targets(targets, lambda _: False, random)[0].provider for _ in range(8000))
    assert 0.73 < first["b"] / 8000 < 0.77


def test_order_within_a_tier_is_without_replacement_by_weight() -> None:
    targets = [_target("a", 1, tier=1), _target("b", 2, tier=1), _target("c", 7, tier=1)]
    random = partial(draw_by_weight, random=Random(4))
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


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5), st.integers(0, 10**6))
def test_first_choices_follow_any_weights(weights: list[int], seed: int) -> None:
    targets = [_target(str(number), weight, tier=1) for number, weight in enumerate(weights)]
    random, drawn = Random(seed), 2000
    by_weight = Counter(draw_by_weight(targets, random)[0].provider for _ in range(drawn))
    by_hash = Counter(draw_by_hash(targets, f"{seed} {n}")[0].provider for n in range(drawn))
    for target in targets:
        share = target.weight / sum(weights)
        most_off = 5 * (share * (1 - share) / drawn) ** 0.5  # five standard deviations
        assert abs(by_weight[target.provider] / drawn - share) <= most_off
        assert abs(by_hash[target.provider] / drawn - share) <= most_off


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=20), st.sets(st.sampled_from("abcdef"), min_size=2), st.sampled_from("abcdef"))
def test_a_value_stays_where_it_was_while_that_is_there(value: str, names: set[str], gone: str) -> None:
    targets = [_target(name, tier=1) for name in sorted(names)]
    before = draw_by_hash(targets, value)
    assert before == draw_by_hash(list(reversed(targets)), value)
    left = [target for target in targets if target.provider != gone]
    # Who is gone moves only what was its own, and to what was next; back again, so is everything else.
    assert draw_by_hash(left, value) == [target for target in before if target.provider != gone]


def test_the_quicker_the_more_often_and_nobody_never() -> None:
    targets = [_target("slow", tier=1), _target("quick", tier=1), _target("dead slow", tier=1)]
    seconds = {"quick": 0.5, "slow": 1.0, "dead slow": 100.0}
    random, drawn = Random(3), 8000
    first = Counter(
        draw_by_latency(targets, random, lambda target: seconds[target.provider])[0].provider
        for _ in range(drawn)
    )
    total = 1 + 1 / 8 + 0.05
    assert abs(first["quick"] / drawn - 1 / total) < 0.02
    assert abs(first["slow"] / drawn - 1 / 8 / total) < 0.02
    assert abs(first["dead slow"] / drawn - 0.05 / total) < 0.01


def test_who_was_not_measured_counts_as_quick() -> None:
    targets = [_target("new", tier=1), _target("known", tier=1)]
    known = {"known": 0.2}
    random = Random(3)
    first = Counter(
        draw_by_latency(targets, random, lambda target: known.get(target.provider))[0].provider
        for _ in range(2000)
    )
    assert 900 < first["new"] < 1100
    nothing = Counter(draw_by_latency(targets, random, lambda _: None)[0].provider for _ in range(2000))
    assert 900 < nothing["new"] < 1100
