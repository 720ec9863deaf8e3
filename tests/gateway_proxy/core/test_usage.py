"""Costs are exact, rounded up once, and bounds take the dearest rate."""

import random
from fractions import Fraction
from math import ceil

from gateway_proxy.core.usage import RATE_CLASSES, Price, Rates, Usage


def _exact_cost(rates: Rates, usage: Usage) -> int:
    total = Fraction(0)
    for name in RATE_CLASSES:
        units = Fraction(usage.millis, 1000) if name == "seconds" else Fraction(getattr(usage, name))
        total += units * getattr(rates, name) / 1_000_000
    return ceil(total)


def test_cost_is_the_exact_sum_rounded_up_once() -> None:
    draw = random.Random(1)
    for _ in range(500):
        rates = Rates(**{name: draw.choice([0, 1, draw.randrange(10**12)]) for name in RATE_CLASSES})
        counts = {
            name: draw.choice([0, 1, draw.randrange(10**6)]) for name in RATE_CLASSES if name != "seconds"
        }
        usage = Usage(**counts, millis=draw.choice([0, 1, draw.randrange(10**7)]))
        assert rates.cost_nanos(usage) == _exact_cost(rates, usage)


def test_each_class_alone_costs_its_rate() -> None:
    for name in RATE_CLASSES:
        field, count = ("millis", 1_000_000_000) if name == "seconds" else (name, 1_000_000)
        assert Rates(**{name: 17}).cost_nanos(Usage(**{field: count})) == 17


def test_tier_holds_only_above_its_threshold_and_for_the_whole_request() -> None:
    price = Price(Rates(input=1), tiers=((10, Rates(input=2)), (20, Rates(input=3))))
    assert [price.rates_for(count).input for count in (0, 10, 11, 20, 21)] == [1, 1, 2, 2, 3]


def test_variant_has_its_own_tiers_and_an_unknown_one_is_the_base() -> None:
    flex = Price(Rates(input=5), tiers=((10, Rates(input=7)),))
    price = Price(Rates(input=1), variants=(("flex", flex),))
    assert price.rates_for(5, "flex").input == 5
    assert price.rates_for(11, "flex").input == 7
    assert price.rates_for(11, "standard").input == 1


def test_dearest_looks_at_every_tier_and_variant() -> None:
    flex = Price(Rates(output=9), tiers=((10, Rates(cached_input=8)),))
    price = Price(Rates(input=1, source="s", version="v"), ((10, Rates(input=3)),), (("flex", flex),))
    expected = Rates(input=3, cached_input=8, output=9, source="s", version="v")
    assert price.dearest() == expected
    assert price.dearest() is price.dearest()
    assert price == Price(Rates(input=1, source="s", version="v"), ((10, Rates(input=3)),), (("flex", flex),))


def test_free_means_free_in_every_tier_and_variant() -> None:
    assert Price(Rates(source="config")).is_free()
    assert not Price(Rates(), tiers=((10, Rates(output=1)),)).is_free()
    assert not Price(Rates(), variants=(("flex", Price(Rates(searches=1))),)).is_free()
