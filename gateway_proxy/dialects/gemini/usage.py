"""Turns the usage objects of the Gemini dialect into disjoint classes.

Promises: the prompt's count includes what came from a cache, thoughts and tool prompts stand beside it; details that exceed
their total are clamped; what only the total tells counts as reasoning; whatever cannot be a count raises. Prices do not
belong here.
"""

from collections.abc import Mapping
from typing import Any

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.counts import LARGEST_COUNT, UnbelievableUsage, first_count, take_count

# What the plain shape says in one place, other shapes say in these.
_OTHER_SHAPES = frozenset(
    (
        "toolUsePromptTokenCount", "responseTokenCount", "toolUsePromptTokensDetails", "cacheTokensDetails",
        "responseTokensDetails",
    )
)  # fmt: skip
_TEXT_DETAILS = ("promptTokensDetails", "candidatesTokensDetails")
_COUNTS = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount")


def parse_usage(raw: object) -> Usage | None:
    """The classes of one usage object; None if it counts nothing at all. Raises UnbelievableUsage."""
    if type(raw) is not dict:
        raise UnbelievableUsage("not an object")
    return _parse_plain(raw) or parse_any_shape(raw)


def _parse_plain(raw: dict[str, Any]) -> Usage | None:
    """What `parse_any_shape` makes of the shape that nearly all answers have; None for every other shape."""
    get = raw.get
    given, made, total = get("promptTokenCount"), get("candidatesTokenCount"), get("totalTokenCount")
    thoughts, cached = get("thoughtsTokenCount", 0), get("cachedContentTokenCount", 0)
    if type(given) is not int or type(made) is not int or type(total) is not int:
        return None
    if type(thoughts) is not int or type(cached) is not int or given + made + thoughts != total:
        return None
    if not (0 <= cached <= given and made >= 0 and thoughts >= 0 and total <= LARGEST_COUNT):
        return None
    if not _OTHER_SHAPES.isdisjoint(raw):
        return None
    for name in _TEXT_DETAILS:
        details = get(name)
        if details is not None:
            if type(details) is not list or len(details) != 1 or type(details[0]) is not dict:
                return None
            if details[0].get("modality") != "TEXT":
                return None
    return Usage(given - cached, cached, 0, 0, 0, made, thoughts)


def parse_any_shape(raw: dict[str, Any]) -> Usage | None:
    """`parse_usage` without its short cut: every shape, every clamp."""
    if all(raw.get(name) is None for name in _COUNTS):
        return None
    tool_prompt = first_count(raw, "toolUsePromptTokenCount") or 0
    given = (first_count(raw, "promptTokenCount") or 0) + tool_prompt
    made = first_count(raw, "candidatesTokenCount", "responseTokenCount") or 0
    thoughts = first_count(raw, "thoughtsTokenCount") or 0
    beside = (first_count(raw, "totalTokenCount") or 0) - given - made - thoughts
    heard = _count_audio(raw, "promptTokensDetails") + _count_audio(raw, "toolUsePromptTokensDetails")
    heard_from_cache = _count_audio(raw, "cacheTokensDetails")
    spoken = _count_audio(raw, "candidatesTokensDetails") or _count_audio(raw, "responseTokensDetails")

    usage = Usage(reasoning=thoughts + max(beside, 0))
    usage.audio_input, rest = take_count(max(heard, heard_from_cache), given)
    cached = max((first_count(raw, "cachedContentTokenCount") or 0) - heard_from_cache, 0)
    usage.cached_input, usage.input = take_count(cached, rest)
    usage.audio_output, usage.output = take_count(spoken, made)
    return usage


def _count_audio(raw: Mapping[str, Any], name: str) -> int:
    details = raw.get(name)
    if details is None:
        return 0
    if type(details) is not list:
        raise UnbelievableUsage(f"{name} is not a list")
    found = 0
    for detail in details:
        if type(detail) is dict and detail.get("modality") == "AUDIO":
            found += first_count(detail, "tokenCount") or 0
    return found
