"""The shipped table is what the locked library says, and charges what the library would."""

import random
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, Provider, TieredPrices
from genai_prices.types import Usage as LibraryUsage

from gateway_proxy.config import PRESETS
from gateway_proxy.core.usage import RATE_CLASSES, Price, Usage
from gateway_proxy.pricing.book import TABLE_PATH, PriceBook
from gateway_proxy.pricing.compile import compile_table, equal_names

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
BOOK = PriceBook.load(int(AT.timestamp() * 1000))
PRESET_TABLES = sorted({preset.price_table_id for preset in PRESETS.values() if preset.price_table_id})
# Here our class holds more than one of the library's units, so we charge the dearest of them.
FOLDED = ("image", "video")
MODELS_PER_TABLE = 60
TOKEN_PRICES = frozenset({"input_mtok", "output_mtok"})
VARIANT_CONTEXTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}


@pytest.mark.slow
def test_table_is_up_to_date_with_the_locked_library() -> None:
    shipped = TABLE_PATH.read_bytes()
    message = "the price table is not what the locked genai-prices says: run `python -m gateway_proxy.pricing.compile`"
    assert shipped == compile_table(), message


def _models(table: str) -> list[tuple[Provider, ModelInfo, str]]:
    """Models of a provider, each with a name that means it."""
    provider = next(provider for provider in providers if provider.id == table)
    named = []
    for model in provider.models:
        names = [model.id, *equal_names(model.match)]
        named += [(provider, model, name) for name in names if provider.find_model(name) is model][:1]
    return named


def _all_models() -> list[tuple[Provider, ModelInfo, str]]:
    return [named for table in PRESET_TABLES for named in _models(table)]


def _keys(model: ModelInfo, context: dict[str, str]) -> set[str]:
    return {key for key, price in vars(model.get_prices(AT, context)).items() if price is not None}


def _starts(model: ModelInfo) -> list[int]:
    every = vars(model.get_prices(AT)).values()
    return sorted({tier.start for price in every if isinstance(price, TieredPrices) for tier in price.tiers})


def _draw_usage(draw: random.Random, keys: set[str], starts: list[int]) -> Usage:
    usage = Usage(requests=1)
    usage.input = draw.choice([0, 1, 7, 999, draw.randrange(1_000_000), *starts, *(s + 1 for s in starts)])
    if keys & {"cache_read_mtok"}:
        usage.cached_input = draw.choice([0, 1, draw.randrange(400_000)])
    if keys & {"cache_write_mtok"}:
        usage.cache_write = draw.choice([0, draw.randrange(50_000)])
        usage.cache_write_1h = draw.choice([0, draw.randrange(50_000)])
    if keys & {"input_audio_mtok"}:
        usage.audio_input = draw.randrange(100_000)
    if keys & {"output_audio_mtok"}:
        usage.audio_output = draw.randrange(100_000)
    if keys & {"output_mtok"}:
        usage.output = draw.randrange(100_000)
        usage.reasoning = draw.choice([0, draw.randrange(100_000)])
    if keys & {"web_searches_kcount"}:
        usage.searches = draw.randrange(4)
    return usage


def _library_usage(usage: Usage) -> LibraryUsage:
    return LibraryUsage(
        input_tokens=usage.input_tokens(),
        cache_read_tokens=usage.cached_input,
        cache_audio_read_tokens=0,
        cache_write_tokens=usage.cache_write + usage.cache_write_1h,
        cache_write_5m_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
        input_audio_tokens=usage.audio_input,
        output_tokens=usage.output_tokens(),
        output_reasoning_tokens=usage.reasoning,
        output_audio_tokens=usage.audio_output,
        web_searches=usage.searches,
    )


def _library_cost(provider: Provider, model: ModelInfo, usage: LibraryUsage, context: dict[str, str]) -> int:
    usd = model.calc_price(usage, provider, genai_request_timestamp=AT, price_context=context).total_price
    return int((usd * 10**9).to_integral_value(ROUND_CEILING))


def _has_fractions(model: ModelInfo, context: dict[str, str]) -> bool:
    prices = vars(model.get_prices(AT, context)).values()
    flat = [p if isinstance(p, Decimal) else p.base for p in prices if p is not None]
    flat += [t.price for p in prices if isinstance(p, TieredPrices) for t in p.tiers]
    return any(price * 10**9 % 1 for price in flat)


def _told(model: ModelInfo) -> list[tuple[str | None, dict[str, str]]]:
    whens = [variant.when for variant in model.price_variants or ()]
    return [(None, {})] + [
        (name, context)
        for name, context in VARIANT_CONTEXTS.items()
        if any(when.items() <= context.items() for when in whens)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("table", PRESET_TABLES)
def test_charges_what_the_library_charges(table: str) -> None:
    draw = random.Random(table)
    compared = 0
    models = _models(table)
    for provider, model, name in draw.sample(models, min(len(models), MODELS_PER_TABLE)):
        entry = BOOK.lookup(table, name)
        assert entry is not None
        if entry.price is None or _is_time_of_day(model) or _asks_elsewhere(model):
            continue
        for service_tier, context in _told(model):
            keys = _keys(model, context)
            if any(part in key for key in keys for part in FOLDED) or not keys & TOKEN_PRICES:
                continue
            for _ in range(3):
                usage = _draw_usage(draw, keys, _starts(model))
                ours = entry.price.rates_for(usage.input_tokens(), service_tier).cost_nanos(usage)
                theirs = _library_cost(provider, model, _library_usage(usage), context)
                if _has_fractions(model, context):
                    assert theirs <= ours <= theirs + 1, (model.id, service_tier, usage)
                else:
                    assert ours == theirs, (model.id, service_tier, usage)
                compared += 1
    assert compared


def _is_time_of_day(model: ModelInfo) -> bool:
    return isinstance(model.prices, list) and any(hasattr(p.constraint, "start_time") for p in model.prices)


def _asks_elsewhere(model: ModelInfo) -> bool:
    """Whether a price depends on something that no answer tells; the dearest counts then."""
    return any(not when.keys() <= {"service_tier", "processing", "speed"} for when in _whens(model))


def _whens(model: ModelInfo) -> list[dict[str, str]]:
    return [variant.when for variant in model.price_variants or ()]


@pytest.mark.slow
def test_never_undercharges_where_units_are_folded() -> None:
    draw = random.Random(7)
    folded_units = {
        "input_image_mtok": ("input", ["input_image_tokens"]),
        "input_video_mtok": ("input", ["input_video_tokens"]),
        "output_image_mtok": ("output", ["output_image_tokens"]),
        "output_video_mtok": ("output", ["output_video_tokens"]),
        "output_citation_mtok": ("output", ["output_citation_tokens"]),
        "input_audio_mtok": ("audio_input", ["input_audio_tokens"]),
        "output_audio_mtok": ("audio_output", ["output_audio_tokens"]),
        "cache_audio_read_mtok": (
            "audio_input",
            ["cache_audio_read_tokens", "cache_read_tokens", "input_audio_tokens"],
        ),
        "cache_image_read_mtok": (
            "cached_input",
            ["cache_image_read_tokens", "cache_read_tokens", "input_image_tokens"],
        ),
    }
    compared = 0
    for provider, model, name in _all_models():
        entry = BOOK.lookup(provider.id, name)
        assert entry is not None
        for key in _keys(model, {}) & folded_units.keys():
            assert entry.price is not None
            ours, theirs = folded_units[key]
            count = draw.randrange(1, 100_000)
            total = "output_tokens" if ours in ("output", "audio_output") else "input_tokens"
            library = LibraryUsage(**dict.fromkeys(theirs, count), **{total: count})
            cost = entry.price.base.cost_nanos(Usage(requests=1, **{ours: count}))
            assert cost >= _library_cost(provider, model, library, {}), (model.id, key)
            compared += 1
    assert compared > 40


@pytest.mark.parametrize("model_id", ["whisper-large-v3", "whisper-large-v3-turbo"])
@pytest.mark.parametrize("seconds", [1, 9, 10, 11, 3600])
def test_minimum_of_audio_is_never_undercharged(model_id: str, seconds: int) -> None:
    provider = next(provider for provider in providers if provider.id == "groq")
    model = provider.find_model(model_id)
    entry = BOOK.lookup("groq", model_id)
    assert model is not None
    assert entry is not None
    assert entry.price is not None
    ours = entry.price.base.cost_nanos(Usage(requests=1, millis=seconds * 1000))
    theirs = _library_cost(provider, model, LibraryUsage(audio_seconds=seconds), {})
    assert theirs <= ours <= theirs + entry.price.base.requests // 1_000_000 + 2


def test_seconds_and_characters() -> None:
    for table, name, usage, usd in (
        ("openai", "whisper-1", Usage(millis=60_000), "0.006"),
        ("openai", "tts-1", Usage(characters=1_000), "0.015"),
    ):
        entry = BOOK.lookup(table, name)
        assert entry is not None
        assert entry.price is not None
        assert entry.price.base.cost_nanos(usage) == Decimal(usd) * 10**9


def test_time_of_day_counts_the_dearest_hour() -> None:
    entry = BOOK.lookup("deepseek", "deepseek-v4-pro")
    assert entry is not None
    assert entry.price is not None
    provider = next(provider for provider in providers if provider.id == "deepseek")
    model = provider.find_model("deepseek-v4-pro")
    assert model is not None
    hours = [model.get_prices(AT.replace(hour=hour)) for hour in range(24)]
    prices = {hour.output_mtok for hour in hours}
    assert len(prices) > 1
    assert entry.price.base.output == max(price for price in prices if isinstance(price, Decimal)) * 10**9


@pytest.mark.slow
def test_every_token_price_prices_every_token_class() -> None:
    tokens = RATE_CLASSES[:8]

    def check(price: Price) -> None:
        for rates in (price.base, *(rates for _, rates in price.tiers)):
            if rates.input and rates.output:
                assert all(
                    getattr(rates, name) for name in tokens if name not in ("cached_input", "cache_write")
                )
        for _, variant in price.variants:
            check(variant)

    for provider, _model, name in _all_models():
        entry = BOOK.lookup(provider.id, name)
        assert entry is not None
        if entry.price is not None:
            check(entry.price)


def test_model_without_any_rate_is_unpriced_unless_declared_free() -> None:
    for table, name, is_free in (
        ("google", "gemma-3-27b-it", None),
        ("mistral", "mistral-ocr-latest", None),
        ("openai", "omni-moderation-latest", True),
        ("openrouter", "openai/gpt-oss-20b:free", True),
    ):
        entry = BOOK.lookup(table, name)
        assert entry is not None, name
        assert (entry.price.is_free() if entry.price else None) is is_free, name
