"""Money: integer nano-USD (10⁻⁹ USD). No float ever holds an amount."""

from decimal import Decimal, InvalidOperation

NANOS_PER_USD = 1_000_000_000
# One trillion USD: far above any budget, and well inside a signed 64-bit integer with nanos.
MAX_NANOS = 9_000_000_000 * NANOS_PER_USD
_NANO = Decimal("1e-9")


def parse_usd(value: str | int) -> int:
    """Nano-USD of a decimal string or an integer number of dollars.

    Raises ValueError for anything else: floats, negatives, more than nine decimals, absurd sizes.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError('an amount is a string such as "25.00" or a whole number of USD')
    try:
        # Decimal reads digits of other scripts and "1_0" too; nobody means them.
        if isinstance(value, str) and ("_" in value or not value.isascii()):
            raise InvalidOperation
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError('not an amount in USD; write for example "25.00"') from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("an amount in USD is finite and not negative")
    # Comparing is exact; arithmetic before it would overflow for "9e999999", and round away a thirtieth decimal.
    if amount > MAX_NANOS // NANOS_PER_USD:
        raise ValueError("an amount in USD is at most 9000000000")
    if amount != amount.quantize(_NANO):
        raise ValueError("an amount in USD has at most nine decimals")
    return to_nanos(amount)


def to_nanos(usd: Decimal) -> int:
    """Nano-USD of an amount that has no more than nine decimals, as the settings hold it."""
    return int(usd * NANOS_PER_USD)


def format_usd(nanos: int) -> str:
    """A decimal string with two to nine decimals: `25.00`, `0.000000001`."""
    digits = str(nanos).zfill(10 if nanos >= 0 else 11)
    return f"{digits[:-9]}.{digits[-9:-7]}{digits[-7:].rstrip('0')}"
