"""Reads usage out of Anthropic answers while they pass by, unchanged.

A stream counts twice: `message_start` brings the input and a placeholder for the output, `message_delta` the running totals,
of which the last one closes the account.
"""

from typing import Any, ClassVar

import orjson

from gateway_proxy.core.route import Route
from gateway_proxy.dialects import sse
from gateway_proxy.dialects.anthropic.usage import parse_usage
from gateway_proxy.dialects.counts import UnbelievableUsage
from gateway_proxy.dialects.event_tap import EventTap
from gateway_proxy.dialects.findings import Findings, WholeAnswer

# What an event with output has beside its text: both names of its type and the members around it.
_DELTA_BYTES = 115
_BYTES_PER_TOKEN = 4


class _Notes(Findings):
    """Reads the members that a whole message and a stream's first event have in common."""

    __slots__ = ()

    def _note_message(self, message: dict[str, Any]) -> None:
        model = message.get("model")
        if type(model) is str:
            self.reported_model = model

    def _note_usage(self, raw: object) -> None:
        try:
            self.usage = parse_usage(raw)
            self.invalid_usage = False
        except UnbelievableUsage:
            self.usage, self.invalid_usage = None, True
            return
        if type(raw) is dict:
            tier = raw.get("service_tier")
            if type(tier) is str:
                self.service_tier = tier
            if raw.get("speed") == "fast":
                self.service_tier = "fast"


class AnswerTap(_Notes, WholeAnswer):
    """For a message in one piece, or a token count, which is free."""

    __slots__ = ()

    def _read(self, answer: dict[str, Any]) -> None:
        self._note_message(answer)
        if not self._route.free and answer.get("usage") is not None:
            self._note_usage(answer["usage"])


class StreamTap(_Notes, EventTap):
    """For a stream of events. Parses those that open, close or break a message, no others."""

    __slots__ = ("_raw_usage",)
    needs_end: ClassVar[bool] = True

    def __init__(self, route: Route) -> None:
        EventTap.__init__(self, route)
        self._raw_usage: dict[str, Any] = {}

    def _read(self, events: bytes) -> None:
        deltas = events.count(b"content_block_delta") // 2
        if deltas:
            self.streamed_tokens += max(deltas, (len(events) - deltas * _DELTA_BYTES) // _BYTES_PER_TOKEN)
        find = events.find  # not `in`: see the tap of the OpenAI dialect
        if find(b"message_") < 0 and find(b"error") < 0:
            return
        for event in sse.split_events(events):
            if b"message_" in event or b"error" in event:
                self._examine(event)

    def _examine(self, event: bytes) -> None:
        data = sse.data_of(event)
        try:
            value = orjson.loads(data) if data else None
        except orjson.JSONDecodeError:
            return
        if type(value) is not dict:
            return
        kind = value.get("type")
        if kind == "message_stop":
            self.finished = True
        elif kind == "error":
            self.failed = True
        elif kind == "message_start":
            message = value.get("message")
            if type(message) is dict:
                self._note_message(message)
                self._add_usage(message.get("usage"))
        elif kind == "message_delta" and value.get("usage") is not None:
            self._add_usage(value["usage"])
            self.usage_final = True

    def _add_usage(self, raw: object) -> None:
        """Totals so far: what a later event does not name still holds."""
        if type(raw) is dict:
            self._raw_usage.update((name, count) for name, count in raw.items() if count is not None)
            raw = self._raw_usage
        if raw is not None:
            self._note_usage(raw)
