"""Turns the usage objects of the Gemini dialect into disjoint classes.

Promises: the prompt's count includes what came from a cache, thoughts and tool prompts stand beside it; details that exceed
their total are clamped; what only the total tells counts as reasoning; whatever cannot be a count raises. Prices do not
belong here.
"""

from collections.abc import Mapping
from typing import Any

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.counts import UnbelievableUsage, first_count, take_count

_COUNTS = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount", "thoughtsTokenCount")


def parse_usage(raw: object) -> Usage | None:
    """The classes of one usage object; None if it counts nothing at all. Raises UnbelievableUsage."""
    if type(raw) is not dict:
        raise UnbelievableUsage("not an object")
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
