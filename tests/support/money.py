"""The judge's arithmetic: what the fake provider's own tokens cost at the rates of a test's configuration.

Computed with fractions from the provider's books, without a line of the gateway's pricing.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from gateway_proxy.fake_provider.ledger import Entry

__all__ = ["FLAT", "PRICE", "Prices", "by_request", "cost_nanos", "model_toml", "usd_to_nanos"]


@dataclasses.dataclass(frozen=True)
class Prices:
    """USD per million tokens, as text."""

    input: str = "2.5"
    output: str = "10.1"
    cached_input: str = "1.25"
    reasoning: str = "12.3"

    def toml(self) -> str:
        """The inline table of a [[models]] table."""
        return (
            "{ " + ", ".join(f"{name} = {value}" for name, value in dataclasses.asdict(self).items()) + " }"
        )


PRICE = Prices()
FLAT = Prices(reasoning=PRICE.output)
"""A dearer class would leave room in the bound for more tokens than were allowed."""


def model_toml(
    name: str = "chat",
    *,
    targets: Iterable[str] = ("fake",),
    retries: int = 0,
    price: Prices | None = PRICE,
    extra: str = "",
) -> str:
    """A [[models]] table; each target is a provider's name, asked for the model `m-NAME`."""
    listed = ", ".join(f'{{ provider = "{target}", model = "m-{name}" }}' for target in targets)
    lines = ["[[models]]", f'name = "{name}"', f"targets = [{listed}]", f"retries = {retries}"]
    lines += [f"price = {price.toml()}"] if price is not None else []
    return "\n".join([*lines, extra]) + "\n"


def cost_nanos(entry: Entry, price: Prices = PRICE) -> int:
    """What one bill of the provider costs, in nano-USD, rounded up once."""
    usd_per_million = (
        (entry.prompt_tokens - entry.cached_tokens) * Fraction(price.input)
        + entry.cached_tokens * Fraction(price.cached_input)
        + (entry.completion_tokens - entry.reasoning_tokens) * Fraction(price.output)
        + entry.reasoning_tokens * Fraction(price.reasoning)
    )
    nanos = usd_per_million * 1000
    return -(-nanos.numerator // nanos.denominator)


def usd_to_nanos(amount: str) -> int:
    """Nano-USD of a decimal string."""
    nanos = Fraction(amount) * 10**9
    assert nanos.denominator == 1, amount
    return nanos.numerator


def by_request(items: Iterable[Any]) -> Mapping[str, list[Any]]:
    """Ledger rows or entries of the provider by the gateway's request id."""
    found: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        found[item["request_id"] if isinstance(item, dict) else item.request_id].append(item)
    return found
