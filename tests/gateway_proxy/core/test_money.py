"""Money: exact integers in, decimal strings out."""

from decimal import Decimal

import pytest

from gateway_proxy.core.money import MAX_NANOS, format_usd, parse_usd, to_nanos


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("25.00", 25 * 10**9),
        (3, 3 * 10**9),
        ("0", 0),
        ("0.000000001", 1),
        ("1e-9", 1),
        ("9000000000", MAX_NANOS),
        ("0e999999", 0),
        ("1." + "0" * 40, 10**9),
    ],
)
def test_amounts(text: str | int, nanos: int) -> None:
    assert parse_usd(text) == nanos == to_nanos(Decimal(text))


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        True,
        None,
        "",
        "abc",
        "-1",
        "NaN",
        "Infinity",
        "0.0000000001",
        "9000000001",
        "1e400",
        "9e999999",
        "1e-999999",
        "1." + "0" * 40 + "1",
        "1_0",
        "\u0661",
        Decimal(1),
        b"1",
    ],
)
def test_what_is_no_amount(value: object) -> None:
    with pytest.raises(ValueError, match=r"amount in USD|whole number"):
        parse_usd(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0.00"),
        (1, "0.000000001"),
        (25 * 10**9, "25.00"),
        (1_500_000_000, "1.50"),
        (-1, "-0.000000001"),
        (123_456_789, "0.123456789"),
    ],
)
def test_strings_read_back_as_the_same_amount(nanos: int, text: str) -> None:
    assert format_usd(nanos) == text
    if nanos >= 0:
        assert parse_usd(text) == nanos
