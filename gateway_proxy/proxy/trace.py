"""W3C Trace Context (level 1, sections 3.2 and 3.3): read the client's, hand our own on."""

import re

from gateway_proxy.core.ids import random_hex

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
MAX_TRACESTATE_CHARACTERS = 512


def parse_traceparent(text: str | None) -> tuple[str, str, str] | None:
    """(trace id, parent span id, flags) of a valid header; None starts a new trace."""
    if text is None:
        return None
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN or (version == "00" and rest):
        return None
    return trace_id, span_id, flags


def new_trace_id() -> str:
    return random_hex(16)


def new_span_id() -> str:
    return random_hex(8)
