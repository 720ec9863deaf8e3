"""Turns the usage objects of the Anthropic dialect into disjoint classes.

Promises: `input_tokens`, cache reads and cache writes add up, as this API counts them beside each other; thinking is a part
of the output; whatever cannot be a count raises. Iterations that the totals leave out (compaction, an advisor) are
added. Prices do not belong here.
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

_BESIDE_TOTALS = ("compaction", "advisor_message")


def parse_usage(raw: object) -> Usage:
    """The classes of one usage object. Raises UnbelievableUsage."""
    if type(raw) is not dict:
        raise UnbelievableUsage("not an object")
    return _parse_plain(raw) or parse_any_shape(raw)


def _parse_plain(raw: dict[str, Any]) -> Usage | None:
    """What `parse_any_shape` makes of the shape that nearly all answers have; None for every other shape."""
    get = raw.get
    given, made = get("input_tokens"), get("output_tokens")
    read, written = get("cache_read_input_tokens", 0), get("cache_creation_input_tokens", 0)
    if type(given) is not int or type(made) is not int or type(read) is not int or written != 0:
        return None
    if not (0 <= given <= LARGEST_COUNT and 0 <= made <= LARGEST_COUNT and 0 <= read <= LARGEST_COUNT):
        return None
    if get("iterations") is not None or get("server_tool_use") is not None:
        return None
    lifetimes, details = get("cache_creation"), get("output_tokens_details")
    if lifetimes is not None:
        if type(lifetimes) is not dict:
            return None
        for count in lifetimes.values():
            if type(count) is not int or count:
                return None
    thinking = 0
    if details is not None:
        thinking = details.get("thinking_tokens", 0) if type(details) is dict else -1
        if type(thinking) is not int or not 0 <= thinking <= made:
            return None
    return Usage(given, read, 0, 0, 0, made - thinking, thinking)


def parse_any_shape(raw: dict[str, Any]) -> Usage:
    """`parse_usage` without its short cut: every shape, every clamp."""
    usage = _parse_totals(raw)
    iterations = raw.get("iterations")
    if type(iterations) is list:
        for iteration in iterations:
            if type(iteration) is dict and iteration.get("type") in _BESIDE_TOTALS:
                _add(usage, _parse_totals(iteration))
    return usage


def _parse_totals(raw: dict[str, Any]) -> Usage:
    written = first_count(raw, "cache_creation_input_tokens") or 0
    by_lifetime = find_details(raw, "cache_creation")
    for_an_hour = first_count(by_lifetime, "ephemeral_1h_input_tokens") or 0
    for_minutes = first_count(by_lifetime, "ephemeral_5m_input_tokens") or 0
    written = max(written, for_an_hour + for_minutes)
    output = first_count(raw, "output_tokens") or 0
    thinking = first_count(find_details(raw, "output_tokens_details"), "thinking_tokens") or 0
    thinking, output = take_count(thinking, output)
    return Usage(
        input=first_count(raw, "input_tokens") or 0,
        cached_input=first_count(raw, "cache_read_input_tokens") or 0,
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        output=output,
        reasoning=thinking,
        searches=first_count(find_details(raw, "server_tool_use"), "web_search_requests") or 0,
    )


def _add(total: Usage, part: Usage) -> None:
    total.input += part.input
    total.cached_input += part.cached_input
    total.cache_write += part.cache_write
    total.cache_write_1h += part.cache_write_1h
    total.output += part.output
    total.reasoning += part.reasoning
    total.searches += part.searches
