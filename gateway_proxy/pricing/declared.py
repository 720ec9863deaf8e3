"""Prices that the settings declare, as `Price`.

Promises that no token class is free by omission. Which model has which price belongs to `routing`.
"""

import hashlib
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from gateway_proxy.core.usage import Price, Rates

_PER_MILLION = {
    "input": "input",
    "output": "output",
    "cached_input": "cached_input",
    "cache_write": "cache_write",
    "reasoning": "reasoning",
    "audio_input": "audio_input",
    "audio_output": "audio_output",
}
_PER_PIECE = {
    "per_request": "requests",
    "per_image": "images",
    "per_second": "seconds",
    "per_character": "characters",
    "per_search": "searches",
}


def price_from_usd(usd: Mapping[str, Decimal], source: str) -> Price:
    """The price of USD amounts by unit as the settings name them: per million tokens, or per piece.

    Token classes that are not given cost what input or output costs; if only one of the two is given, the other
    costs the same (write 0 for a direction that is free). Without any token price, tokens cost nothing: such a
    model is paid by the piece. The version is a digest of the amounts.
    """
    rates = {name: _round_up(usd[unit] * 10**9) for unit, name in _PER_MILLION.items() if unit in usd}
    if rates:
        rates.setdefault("input", rates.get("output", max(rates.values())))
        rates.setdefault("output", rates["input"])
        for name in ("cached_input", "cache_write", "audio_input"):
            rates.setdefault(name, rates["input"])
        for name in ("reasoning", "audio_output"):
            rates.setdefault(name, rates["output"])
        rates["cache_write_1h"] = rates["cache_write"]
    rates |= {name: _round_up(usd[unit] * 10**15) for unit, name in _PER_PIECE.items() if unit in usd}
    text = " ".join(f"{name}={rate}" for name, rate in sorted(rates.items()))
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Price(Rates(**rates, source=source, version=digest))


def _round_up(rate: Decimal) -> int:
    return int(rate.to_integral_value(ROUND_CEILING))
