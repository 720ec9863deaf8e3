"""Compile the price data of genai-prices into `prices.jsonl`: run `python -m gateway_proxy.pricing.compile`.

Promises a table that never undercharges: units that `Rates` lacks are folded into the dearest class that their
tokens are counted in, a class without a rate gets its parent's, fractions of a nano-USD are rounded up, and a
model with a unit that nobody counts has no price. Needs genai-prices, which the running gateway does not: it reads
the table through `book`.

One line of JSON each: first `{"library", "version", "providers": {id: [offset, length, [fallback ids]]}}` with
offsets in bytes after that line, then per model `[names, clause, context window, periods]`. A period is
`[first day in Unix ms, price]`, a price null or `[rates, [[above input tokens, rates]…], [[variant, price]…]]`,
rates the integers of `Rates` in order, without trailing zeros. A null clause: one of the names, in any case.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data import providers as library_providers
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.units import _get_registry as library_registry

from gateway_proxy.core.usage import RATE_CLASSES
from gateway_proxy.pricing.book import TABLE_PATH

# Documented as free of charge by the provider; elsewhere a model without any rate has no price at all.
FREE_MODELS = {("openai", "moderation")}
# What an answer tells of how it was made, and so which price list holds. Other conditions show in no answer:
# their dearest outcome counts.
TOLD_CONDITIONS = frozenset({"service_tier", "processing", "speed"})
# Groq bills at least ten seconds of audio per request.
MINIMUM_SECONDS = {("groq", "whisper-large-v3"): 10, ("groq", "whisper-large-v3-turbo"): 10}
# Its table also keeps names from before it wanted the vendor in front.
NAMES_WITH_VENDOR = frozenset({"openrouter"})
BEFORE_ALL = date(1970, 1, 1)

Row = list[Any]


def compile_table() -> bytes:
    """The whole table, the same bytes for the same library version."""
    index: dict[str, Row] = {}
    body = bytearray()
    for provider in library_providers:
        lines = b"".join(_dump(row) for model in provider.models if (row := _model_row(provider, model)))
        index[provider.id] = [len(body), len(lines), provider.fallback_model_providers or []]
        body += lines
    head = {"library": "genai-prices", "version": version("genai-prices"), "providers": index}
    return _dump(head) + bytes(body)


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _model_row(provider: Provider, model: ModelInfo) -> Row:
    names = sorted(
        name for name in {model.id, *equal_names(model.match)} if _is_listed(provider, model, name)
    )
    clause = _clause(model.match)
    pure = isinstance(clause, str) or (
        clause[0] == "or" and all(isinstance(item, str) for item in clause[1:])
    )
    if pure and {name.lower() for name in names} == {n.lower() for n in equal_names(model.match)}:
        clause = None
    return [names, clause, model.context_window, _periods(provider, model)]


def equal_names(match: MatchLogic) -> Iterator[str]:
    if isinstance(match, ClauseEquals):
        yield match.equals
    elif isinstance(match, ClauseOr):
        for part in match.or_:
            yield from equal_names(part)


def _is_listed(provider: Provider, model: ModelInfo, name: str) -> bool:
    """Whether clients may ask for this name without naming the provider.

    Not if another model answers to it, if it is a pattern's stem (fine-tunes), or if it is the model of a vendor
    whose prices this provider only borrows: a bare `claude-…` belongs to Anthropic, not to Google.
    """
    if provider.find_model(name) is not model or name.startswith("ft:") or name.endswith("-"):
        return False
    if provider.id in NAMES_WITH_VENDOR and "/" not in name:
        return False
    lenders = [other for other in library_providers if other.id in (provider.fallback_model_providers or ())]
    return all(lender.find_model(name.rpartition("/")[2]) is None for lender in lenders)


def _clause(match: MatchLogic) -> Any:
    match match:
        case ClauseEquals(equals=text):
            return text.lower()
        case ClauseStartsWith(starts_with=text):
            return ["starts_with", text.lower()]
        case ClauseEndsWith(ends_with=text):
            return ["ends_with", text.lower()]
        case ClauseContains(contains=text):
            return ["contains", text.lower()]
        case ClauseRegex(regex=pattern):
            return ["regex", pattern]
        case ClauseOr(or_=parts):
            return ["or", *map(_clause, parts)]
        case ClauseAnd(and_=parts):
            return ["and", *map(_clause, parts)]


def _periods(provider: Provider, model: ModelInfo) -> list[Row]:
    """The model's prices from each day on at which they change."""
    conditional = model.prices if isinstance(model.prices, list) else [ConditionalPrice(prices=model.prices)]
    constraints = [item.constraint for item in [*conditional, *(model.price_variants or ())]]
    days = {c.start_date for c in constraints if isinstance(c, StartDateConstraint)}
    hours = {time(0)}
    for constraint in constraints:
        if isinstance(constraint, TimeOfDateConstraint):
            hours |= {constraint.start_time.replace(tzinfo=None), constraint.end_time.replace(tzinfo=None)}
    periods: list[Row] = []
    for day in sorted({BEFORE_ALL, *days}):
        moments = [datetime.combine(day, hour, UTC) for hour in sorted(hours)]
        price = _price(provider, model, moments)
        if not periods or periods[-1][1] != price:
            periods.append([(day - BEFORE_ALL) // timedelta(milliseconds=1), price])
    return periods


def _price(provider: Provider, model: ModelInfo, moments: list[datetime]) -> Row | None:
    """The price list at these moments of a day, the dearest where they differ."""
    base_contexts: list[dict[str, str]] = [{}]
    variant_contexts: dict[str, list[dict[str, str]]] = {}
    for variant in model.price_variants or ():
        if variant.when.keys() <= TOLD_CONDITIONS:
            variant_contexts.setdefault("+".join(variant.when.values()), []).append(variant.when)
        else:
            base_contexts.append(variant.when)
    base = _rate_steps(provider, model, moments, base_contexts)
    if base is None:
        return None
    variants = []
    for name, contexts in sorted(variant_contexts.items()):
        steps = _rate_steps(provider, model, moments, contexts)
        if steps is not None and steps != base:
            variants.append([name, _price_row(steps, [])])
    return _price_row(base, variants)


def _price_row(steps: list[tuple[int, list[int]]], variants: list[Row]) -> Row:
    row: Row = [steps[0][1], [list(step) for step in steps[1:]], variants]
    while not row[-1] and len(row) > 1:
        row.pop()
    return row


def _rate_steps(
    provider: Provider, model: ModelInfo, moments: list[datetime], contexts: list[dict[str, str]]
) -> list[tuple[int, list[int]]] | None:
    """(above input tokens, rates) ascending, the first for any input; None without a price."""
    candidates = [
        _used_prices(model.get_prices(moment, context)) for moment in moments for context in contexts
    ]
    starts = {-1}
    for prices in candidates:
        if not prices and not model.id.endswith(":free") and (provider.id, model.id) not in FREE_MODELS:
            return None
        if any(_class_of(key) is None for key in prices):
            return None
        starts |= {t.start for p in prices.values() if isinstance(p, TieredPrices) for t in p.tiers}
    seconds = MINIMUM_SECONDS.get((provider.id, model.id), 0)
    steps: list[tuple[int, list[int]]] = []
    for start in sorted(starts):
        every = [_fold({key: _at(price, start) for key, price in p.items()}, seconds) for p in candidates]
        rates = [max(column) for column in zip(*every, strict=True)]
        while rates and not rates[-1]:
            rates.pop()
        if not steps or steps[-1][1] != rates:
            steps.append((start, rates))
    return steps


def _used_prices(prices: ModelPrice) -> dict[str, Decimal | TieredPrices]:
    return {key: price for key, price in vars(prices).items() if price is not None}


def _at(price: Decimal | TieredPrices, above: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    return reached[-1] if reached else price.base


def _class_of(price_key: str) -> str | None:
    """The class of `Rates` that counts the unit of this price; None if nobody counts it."""
    dimensions = library_registry().unit_for_price_key(price_key).dimensions
    family, is_input = dimensions["family"], dimensions.get("direction") == "input"
    if family != "tokens":
        counted = {
            "characters": "characters",
            "durations": "seconds",
            "requests": "requests",
            "rerank": "searches",
            "tool_calls": "searches",
        }
        return counted.get(family)
    # Usage counts audio tokens as audio whether cached or not.
    if dimensions.get("modality") == "audio":
        return "audio_input" if is_input else "audio_output"
    kind = dimensions.get("token_type")
    if kind == "cache_write":
        return "cache_write_1h" if dimensions.get("cache_ttl") == "1h" else "cache_write"
    if is_input:
        return "cached_input" if kind == "cache_read" else "input"
    return "reasoning" if kind == "reasoning" else "output"


def _fold(prices: dict[str, Decimal], minimum_seconds: int) -> list[int]:
    """Rates in the order of `RATE_CLASSES`, with nothing left at zero that has a dearer parent."""
    rates: dict[str, Decimal] = {}
    plain: dict[str, Decimal] = {}
    for key, usd in prices.items():
        name = _class_of(key)
        assert name is not None
        plain[key] = usd * 10**15 / library_registry().unit_for_price_key(key).per
        rates[name] = max(plain[key], rates.get(name, Decimal(0)))
    if "input" in rates or "output" in rates:
        rates.setdefault("input", rates.get("output", Decimal(0)))
        rates.setdefault("output", rates["input"])
        rates.setdefault("cached_input", rates["input"])
        rates.setdefault("cache_write", rates["input"])
        rates.setdefault("cache_write_1h", rates["cache_write"])
        rates.setdefault("audio_input", rates["input"])
        # Images fold into the output rate, but nobody reasons in images.
        rates.setdefault("reasoning", plain.get("output_mtok", rates["output"]))
        rates.setdefault("audio_output", rates["output"])
    if minimum_seconds:
        rates["requests"] = rates.get("requests", Decimal(0)) + rates["seconds"] * minimum_seconds
    return [int(rates.get(n, Decimal(0)).to_integral_value(ROUND_CEILING)) for n in RATE_CLASSES]


def main() -> None:
    """Write the table beside this module."""
    Path(TABLE_PATH).write_bytes(compile_table())


if __name__ == "__main__":
    main()
