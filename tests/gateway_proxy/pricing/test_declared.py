"""Prices from the settings: exact, and nothing free by omission."""

from decimal import Decimal

from gateway_proxy.core.usage import Usage
from gateway_proxy.pricing import price_from_usd


def _usd(**amounts: str) -> dict[str, Decimal]:
    return {unit: Decimal(amount) for unit, amount in amounts.items()}


def test_classes_that_are_not_given_cost_their_parent() -> None:
    rates = price_from_usd(_usd(input="2.50", output="10"), "config").base
    assert rates.input == rates.cached_input == rates.cache_write == rates.cache_write_1h == 2_500_000_000
    assert rates.audio_input == 2_500_000_000
    assert rates.output == rates.reasoning == rates.audio_output == 10_000_000_000
    assert rates.requests == rates.images == rates.seconds == rates.characters == rates.searches == 0


def test_classes_that_are_given_cost_what_is_given() -> None:
    given = _usd(
        input="1",
        output="2",
        cached_input="0",
        cache_write="3",
        reasoning="4",
        audio_input="5",
        audio_output="6",
    )
    rates = price_from_usd(given, "config").base
    assert (rates.cached_input, rates.cache_write, rates.cache_write_1h) == (0, 3 * 10**9, 3 * 10**9)
    assert (rates.reasoning, rates.audio_input, rates.audio_output) == (4 * 10**9, 5 * 10**9, 6 * 10**9)


def test_one_direction_alone_prices_the_other() -> None:
    assert price_from_usd(_usd(input="3"), "config").base.output == 3 * 10**9
    assert price_from_usd(_usd(output="3"), "config").base.input == 3 * 10**9
    assert price_from_usd(_usd(audio_output="3"), "config").base.input == 3 * 10**9
    assert price_from_usd(_usd(input="3", output="0"), "config").base.output == 0


def test_pieces() -> None:
    given = _usd(
        per_request="0.01",
        per_image="0.04",
        per_second="0.0001",
        per_character="0.000015",
        per_search="0.025",
    )
    rates = price_from_usd(given, "config").base
    assert rates.cost_nanos(Usage(input=10**6, output=10**6)) == 0
    assert rates.cost_nanos(Usage(requests=1)) == 10_000_000
    assert rates.cost_nanos(Usage(images=2)) == 80_000_000
    assert rates.cost_nanos(Usage(millis=1500)) == 150_000
    assert rates.cost_nanos(Usage(characters=3)) == 45_000
    assert rates.cost_nanos(Usage(searches=1)) == 25_000_000


def test_source_and_version_tell_prices_apart() -> None:
    one = price_from_usd(_usd(input="1", output="2"), "config").base
    same = price_from_usd(_usd(input="1.0", output="2.00"), "config").base
    other = price_from_usd(_usd(input="1", output="2.000001"), "config").base
    assert one == same
    assert one.source == "config"
    assert one.version
    assert one.version != other.version


def test_zero_is_free() -> None:
    assert price_from_usd(_usd(input="0", output="0"), "config").is_free()
    assert price_from_usd({}, "default").is_free()
