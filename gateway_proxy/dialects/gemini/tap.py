"""Reads usage out of Gemini answers while they pass by, unchanged.

Every piece of a stream brings the totals so far; those that come with a finish reason close the account. The searches behind
an answer stand in no usage: they are counted by the queries that its grounding names, which is how they are billed; before
Gemini 3 an answer with any counts one (https://ai.google.dev/gemini-api/docs/pricing).
"""

from typing import Any

import orjson

from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects import sse
from gateway_proxy.dialects.counts import UnbelievableUsage
from gateway_proxy.dialects.event_tap import EventTap
from gateway_proxy.dialects.findings import Findings, WholeAnswer
from gateway_proxy.dialects.gemini.array import ArrayReader
from gateway_proxy.dialects.gemini.usage import parse_usage

_BILLED_ONCE = ("gemini-1", "gemini-2")


class _Notes(Findings):
    """Reads one response, which is a whole answer or a piece of a stream."""

    __slots__ = ()

    def _note_response(self, response: dict[str, Any]) -> bool:
        """Whether it ends the answer."""
        if response.get("error") is not None:
            self.failed = True
        model = response.get("modelVersion")
        if type(model) is str:
            self.reported_model = model
        ends = False
        searches = 0 if self.usage is None else self.usage.searches
        candidates = response.get("candidates")
        for candidate in candidates if type(candidates) is list else ():
            if type(candidate) is dict:
                ends |= candidate.get("finishReason") is not None
                searches = max(searches, _count_searches(candidate, self.reported_model))
        feedback = response.get("promptFeedback")
        if type(feedback) is dict and feedback.get("blockReason") is not None:
            ends = True
        raw = response.get("usageMetadata")
        if raw is not None:
            self._note_usage(raw)
        if self.usage is not None:
            self.usage.searches = searches
        return ends

    def _note_usage(self, raw: object) -> None:
        try:
            usage = parse_usage(raw)
        except UnbelievableUsage:
            self.usage, self.invalid_usage = None, True
            return
        if usage is None:
            return
        self.usage, self.invalid_usage = usage, False
        self.streamed_tokens = usage.output_tokens()
        tier = raw.get("serviceTier") if type(raw) is dict else None
        if type(tier) is str:
            self.service_tier = tier.removeprefix("SERVICE_TIER_").lower()


def _count_searches(candidate: dict[str, Any], model: str) -> int:
    grounding = candidate.get("groundingMetadata")
    queries = grounding.get("webSearchQueries") if type(grounding) is dict else None
    if type(queries) is not list:
        return 0
    return min(len(queries), 1) if model.startswith(_BILLED_ONCE) else len(queries)


class AnswerTap(_Notes, WholeAnswer):
    """For an answer in one piece, or a token count, which is free."""

    __slots__ = ()

    def _read(self, answer: dict[str, Any]) -> None:
        if not self._route.free:
            self._note_response(answer)


class StreamTap(_Notes, EventTap):
    """For a stream of events. Pieces that bring nothing but text and totals so far are parsed only if they are the last ones."""

    __slots__ = ("_latest", "_streamed_tokens", "_usage")

    def __init__(self, route: Route) -> None:
        self._latest = b""  # unread events, of which only the totals matter
        EventTap.__init__(self, route)

    @property
    def usage(self) -> Usage | None:
        """The totals of the last piece that brought any."""
        self._read_latest()
        return self._usage

    @usage.setter
    def usage(self, usage: Usage | None) -> None:
        self._usage = usage

    @property
    def streamed_tokens(self) -> int:
        """The output of the same piece."""
        self._read_latest()
        return self._streamed_tokens

    @streamed_tokens.setter
    def streamed_tokens(self, tokens: int) -> None:
        self._streamed_tokens = tokens

    def _read(self, events: bytes) -> None:
        find = events.find  # not `in`: see the tap of the OpenAI dialect
        if find(b"Reason") >= 0 or find(b"error") >= 0 or find(b"grounding") >= 0:
            self._read_latest()
            self._parse(events)
        elif find(b"usageMetadata") >= 0:
            self._latest = events

    def _read_latest(self) -> None:
        if self._latest:
            events, self._latest = self._latest, b""
            self._parse(events)

    def _parse(self, events: bytes) -> None:
        for event in sse.split_events(events):
            data = sse.data_of(event)
            if not data:
                continue
            try:
                value = orjson.loads(data)
            except orjson.JSONDecodeError:
                continue
            if type(value) is dict and self._note_response(value):
                self.finished = self.usage_final = True


class ArrayTap(_Notes):
    """For a stream that is one JSON array."""

    __slots__ = ("_reader",)

    def __init__(self, route: Route) -> None:
        Findings.__init__(self, route)
        self._reader = ArrayReader()

    def feed(self, chunk: bytes) -> bytes:
        """Hands on the chunk as it is."""
        for element in self._reader.feed(chunk):
            try:
                value = orjson.loads(element)
            except orjson.JSONDecodeError:
                continue
            if type(value) is dict and self._note_response(value):
                self.usage_final = True
        self.finished = self._reader.finished
        return chunk

    def at_event_boundary(self) -> bool:
        """There is no room for comments."""
        return False

    def close(self) -> bytes:
        """Nothing was held back."""
        return b""
