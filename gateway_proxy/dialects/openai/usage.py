"""Turns the usage objects of the OpenAI dialect into disjoint classes.

Promises: the classes add up to the provider's own totals, details that exceed them are clamped, and whatever
cannot be a count (negative, fractional, text, beyond `LARGEST_COUNT`) raises. Prices do not belong here.
"""

from typing import Any

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.counts import (
    LARGEST_COUNT,
    UnbelievableUsage,
    find_details,
    first_count,
    take_count,
)

# What the plain shape says in one place, other shapes say in these.
_OTHER_SHAPES = frozenset(
    (
        "type",
        "input_tokens",
        "output_tokens",
        "search_units",
        "num_search_queries",
        "input_tokens_details",
        "input_token_details",
        "output_tokens_details",
        "output_token_details",
        "prompt_cache_hit_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    )
)


def parse_usage(raw: object) -> Usage | None:
    """The classes of one usage object; None if it counts nothing at all. Raises UnbelievableUsage."""
    if type(raw) is not dict:
        raise UnbelievableUsage("not an object")
    usage = _parse_plain(raw)
    return parse_any_shape(raw) if usage is None else usage


# Most counts are nought, and small numbers are the same object everywhere: where they are not, more is compared.
_NOUGHT = 0


def _parse_plain(raw: dict[str, Any]) -> Usage | None:
    """What `parse_any_shape` makes of the shape that nearly all answers have; None for every other shape."""
    try:
        given, made, total = raw["prompt_tokens"], raw["completion_tokens"], raw["total_tokens"]
    except KeyError:
        return None
    if type(given) is not int or type(made) is not int or type(total) is not int:
        return None
    if given < 0 or made < 0 or given + made != total or total > LARGEST_COUNT:
        return None
    if not _OTHER_SHAPES.isdisjoint(raw):
        return None
    cached = written = heard = reasoning = spoken = 0
    details = raw.get("prompt_tokens_details")
    if details is not None:
        if type(details) is not dict or "cache_creation_tokens" in details:
            return None
        if (cached := details.get("cached_tokens", _NOUGHT)) is not _NOUGHT:
            if type(cached) is not int or cached < 0:
                return None
            given -= cached
        if (heard := details.get("audio_tokens", _NOUGHT)) is not _NOUGHT:
            if type(heard) is not int or heard < 0:
                return None
            given -= heard
        if "cache_write_tokens" in details:
            written = details["cache_write_tokens"]
            if type(written) is not int or written < 0:
                return None
            given -= written
        if given < 0:
            return None
    details = raw.get("completion_tokens_details")
    if details is not None:
        if type(details) is not dict:
            return None
        if (reasoning := details.get("reasoning_tokens", _NOUGHT)) is not _NOUGHT:
            if type(reasoning) is not int or reasoning < 0:
                return None
            made -= reasoning
        if (spoken := details.get("audio_tokens", _NOUGHT)) is not _NOUGHT:
            if type(spoken) is not int or spoken < 0:
                return None
            made -= spoken
        if made < 0:
            return None
    return Usage(given, cached, written, 0, heard, made, reasoning, spoken)


def parse_any_shape(raw: dict[str, Any]) -> Usage | None:
    """`parse_usage` without its short cut: every shape, every clamp."""
    if raw.get("type") == "duration":
        return Usage(millis=duration_millis(raw.get("seconds")))
    given_input = first_count(raw, "prompt_tokens", "input_tokens")
    given_output = first_count(raw, "completion_tokens", "output_tokens")
    given_total = first_count(raw, "total_tokens")
    searches = first_count(raw, "search_units", "num_search_queries")
    if given_input is None and given_output is None and given_total is None and searches is None:
        return None
    output = given_output or 0
    # Rerankers name a total only.
    total_input = given_input if given_input is not None else max((given_total or 0) - output, 0)

    details = find_details(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    cached = first_count(details, "cached_tokens")
    if cached is None:
        cached = first_count(raw, "prompt_cache_hit_tokens", "cache_read_input_tokens") or 0
    written = first_count(details, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = first_count(raw, "cache_creation_input_tokens") or 0
    audio_input = first_count(details, "audio_tokens") or 0

    details = find_details(raw, "completion_tokens_details", "output_tokens_details", "output_token_details")
    reasoning = first_count(details, "reasoning_tokens") or 0
    audio_output = first_count(details, "audio_tokens") or 0

    # Some providers count reasoning, or cached input, next to the totals instead of within them. Their
    # `total_tokens` tells: it exceeds the sum of both by exactly what was left out.
    beside = (given_total or 0) - total_input - output
    if beside > 0 and given_input is not None and given_output is not None:
        if reasoning in {beside, 0} and cached + written != beside:
            reasoning = beside
            output += beside
        elif cached + written == beside:
            total_input += beside

    usage = Usage(searches=searches or 0)
    usage.cached_input, rest = take_count(cached, total_input)
    usage.cache_write, rest = take_count(written, rest)
    usage.audio_input, usage.input = take_count(audio_input, rest)
    usage.reasoning, rest = take_count(reasoning, output)
    usage.audio_output, usage.output = take_count(audio_output, rest)
    return usage


def duration_millis(seconds: object) -> int:
    """Milliseconds of a duration in seconds, rounded up. Raises UnbelievableUsage."""
    if type(seconds) is not int and type(seconds) is not float:
        raise UnbelievableUsage("not a duration")
    if not 0 <= seconds <= LARGEST_COUNT / 1000:
        raise UnbelievableUsage("not a duration")
    # Six decimals first, or binary fractions would round 8.1 s up to 8101 ms.
    micros = round(seconds * 1_000_000)
    return -(-micros // 1000)
