"""The price table at one moment: which price and which context window a provider's model has.

Promises to read only the providers that are asked for, and rates in integer nano-USD. The table is compiled by
`compile` and never edited; prices from the settings belong to `declared`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway_proxy.core.usage import RATE_CLASSES, Price, Rates
from gateway_proxy.pricing.matching import Matcher, dash_compact_date

TABLE_PATH = Path(__file__).with_name("prices.jsonl")


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """What the table knows of a model; `price` None: the model, but no price that could be counted."""

    price: Price | None
    context_tokens: int | None


class _Span(NamedTuple):
    offset: int
    length: int
    fallback: list[str]


class _Provider:
    """The rows of one provider, and the prices made of them so far."""

    def __init__(self, text: bytes) -> None:
        self.rows: list[Any] = [orjson.loads(line) for line in text.splitlines()]
        self.matcher = Matcher([(row[0], row[1]) for row in self.rows])
        self.entries: dict[int, PriceEntry] = {}


class PriceBook:
    """All prices as of one moment; for the next day with other prices there is `next_change_at`."""

    def __init__(self, path: Path, at_ms: int) -> None:
        self.at_ms = at_ms
        self._path = path
        with path.open("rb") as table:
            head = orjson.loads(table.readline())
            self._body_offset = table.tell()
        self._source: str = head["library"]
        self.version: str = head["version"]
        self._spans = {name: _Span(*span) for name, span in head["providers"].items()}
        self._providers: dict[str, _Provider] = {}
        self._chains: dict[str, tuple[_Provider, ...]] = {}

    @classmethod
    def load(cls, at_ms: int) -> "PriceBook":
        """The table that comes with this package, as of a moment in Unix milliseconds."""
        return cls(TABLE_PATH, at_ms)

    def lookup(self, price_table_id: str, model: str) -> PriceEntry | None:
        """What the table knows of a provider's own name for a model; None if nothing.

        A provider that serves another vendor's models borrows that vendor's prices. Where a compact date
        (`-20251211`) matches nothing, the name is tried again with the date's dashes.
        """
        for spelling in dict.fromkeys((model, dash_compact_date(model))):
            for provider in self._chain(price_table_id):
                index = provider.matcher.find(spelling)
                if index is not None:
                    return self._entry(provider, index)
        return None

    def names(self, price_table_id: str) -> list[str]:
        """The provider's concrete model names, sorted; patterns (dated versions, fine-tunes) have none."""
        return sorted(
            {name for provider in self._chain(price_table_id)[:1] for row in provider.rows for name in row[0]}
        )

    def next_change_at(self) -> int | None:
        """The next moment at which a provider that was asked for changes a price; None: none is known."""
        starts = (
            start
            for provider in self._providers.values()
            for row in provider.rows
            for start, _ in row[3]
            if start > self.at_ms
        )
        return min(starts, default=None)

    def _chain(self, price_table_id: str) -> tuple[_Provider, ...]:
        """The provider and those that it borrows prices from, read at once: later the file may be another one."""
        chain = self._chains.get(price_table_id)
        if chain is None:
            span = self._spans.get(price_table_id)
            if span is None:
                return ()
            chain = tuple(self._provider(name) for name in (price_table_id, *span.fallback))
            self._chains[price_table_id] = chain
        return chain

    def _provider(self, name: str) -> _Provider:
        provider = self._providers.get(name)
        if provider is None:
            span = self._spans[name]
            with self._path.open("rb") as table:
                table.seek(self._body_offset + span.offset)
                provider = self._providers[name] = _Provider(table.read(span.length))
        return provider

    def _entry(self, provider: _Provider, index: int) -> PriceEntry:
        entry = provider.entries.get(index)
        if entry is None:
            _, _, context_tokens, periods = provider.rows[index]
            prices = [price for start, price in periods if start <= self.at_ms]
            price = self._price(prices[-1]) if prices and prices[-1] is not None else None
            entry = provider.entries[index] = PriceEntry(price, context_tokens)
        return entry

    def _price(self, row: list[Any]) -> Price:
        base, tiers, variants = [*row, [], []][:3]
        return Price(
            base=self._rates(base),
            tiers=tuple((above, self._rates(rates)) for above, rates in tiers),
            variants=tuple((name, self._price(variant)) for name, variant in variants),
        )

    def _rates(self, row: list[int]) -> Rates:
        return Rates(**dict(zip(RATE_CLASSES, row, strict=False)), source=self._source, version=self.version)
