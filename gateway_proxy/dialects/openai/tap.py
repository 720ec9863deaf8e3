"""Reads usage out of OpenAI answers while they pass by.

Promises: bytes are handed on unchanged, but for the one usage event that the client did not ask for; how a
stream is cut into chunks changes nothing; memory per answer is bounded. Whether an answer may be called
complete, and what it costs, is decided elsewhere.
"""

import re
from typing import Any

import orjson

from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects import sse
from gateway_proxy.dialects.counts import UnbelievableUsage
from gateway_proxy.dialects.findings import MAX_EVENT_BYTES, Findings, WholeAnswer
from gateway_proxy.dialects.openai.stored import find_made
from gateway_proxy.dialects.openai.usage import duration_millis, parse_usage

MAX_HELD_BYTES = 64 * 1024  # of an event that may have to be taken out

# Such a member may be content: keys of events are followed by a colon, null means "not yet".
_TELLING = re.compile(rb'"(?:usage|error)"\s*:\s*(?!null|\s)|\[DONE\]|"type"\s*:\s*"error"|event:\s*error')
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")

# What an event that carries output contains exactly once: the unit of `streamed_tokens`.
_CONTENT_MARKS = {"chat": b'"delta"', "completions": b'"text"', "responses": b'.delta"', "audio": b'.delta"'}

# Where a spoken answer first names itself, and how long that can be.
_SOUND = re.compile(rb'"audio"\s*:\s*\{[^{}]*?"id"\s*:\s*"([A-Za-z0-9_-]{1,200})"')
_SOUND_BYTES = 512

_ENDS = frozenset(
    (
        "response.completed",
        "response.incomplete",
        "response.failed",
        "transcript.text.done",
        "speech.audio.done",
        "image_generation.completed",
        "image_edit.completed",
    )
)


def _may_tell(events: bytes) -> bool:
    """Whether parsing these events can find anything. Decides for almost every chunk: keep it cheap."""
    find = (
        events.find
    )  # not `in`, which first fails to read the pattern as a number, at the price of two searches
    if find(b"error") < 0 and find(b"[DONE]") < 0:
        named = events.count(b'"usage"')
        if not named or named == events.count(b'"usage":null'):
            return False
    return _TELLING.search(events) is not None


class _Notes(Findings):
    """Reads the members that whole answers and events have in common."""

    __slots__ = ()

    def _note_origin(self, answer: dict[str, Any]) -> None:
        model = answer.get("model")
        if type(model) is str:
            self.reported_model = model
        tier = answer.get("service_tier")
        if type(tier) is str:
            self.service_tier = tier

    def _note_made(self, answer: dict[str, Any]) -> None:
        """Tell whose the ids in the answer are, where somebody wants to know."""
        kept = self._route.kept
        if kept is not None and kept.note is not None:
            kept.note(find_made(answer), kept.keeps and answer.get("store") is not False)

    def _note_usage(self, raw: object, images: int) -> None:
        if self._route.free:
            return  # of an answer that was paid for before
        try:
            usage = parse_usage(raw)
        except UnbelievableUsage:
            self.invalid_usage = True
            self.usage = None
            return
        if usage is not None:
            if images:
                usage.images = images
            self.usage = usage
            self.invalid_usage = False


class AnswerTap(_Notes, WholeAnswer):
    """For an answer in one piece."""

    __slots__ = ()

    def _read(self, answer: dict[str, Any]) -> None:
        self._note_origin(answer)
        if self._route.kept is not None:
            self._note_made(answer)
        raw = answer.get("usage")
        if raw is None:
            meta = answer.get("meta")  # rerankers in Cohere's manner
            raw = meta.get("billed_units") if type(meta) is dict else None
        if raw is not None:
            pictures = answer.get("data") if self._route.operation == "images" else None
            self._note_usage(raw, len(pictures) if type(pictures) is list else 0)
        elif self._route.operation == "audio" and "duration" in answer:
            try:
                self.usage = Usage(millis=duration_millis(answer["duration"]))
            except UnbelievableUsage:
                self.invalid_usage = True


class StreamTap(_Notes):
    """For a stream of events. Parses the first event and those that tell something, no others."""

    __slots__ = (
        "_assembler",
        "_content_mark",
        "_images",
        "_is_clean",
        "_line_feed_due",
        "_origin_known",
        "_strip",
    )

    def __init__(self, route: Route) -> None:
        Findings.__init__(self, route)
        self._strip = route.strip_usage
        self._assembler = sse.Assembler(MAX_HELD_BYTES if self._strip else MAX_EVENT_BYTES)
        self._content_mark = _CONTENT_MARKS.get(route.operation, b"data:")
        self._origin_known = False
        self._is_clean = True  # nothing is held back or due: a chunk of whole events can pass as it is
        self._images = 0
        if route.free:
            self.usage, self.usage_final = Usage(), True
        self._line_feed_due = False  # the event taken out ended in a CR that may be half a line end

    def feed(self, chunk: bytes) -> bytes:
        """What to hand on now: everything, or, when the usage event must go, whole events only."""
        if self._is_clean and chunk.endswith(_EVENT_ENDS):
            if self._origin_known and not _may_tell(chunk):
                self.streamed_tokens += chunk.count(self._content_mark)
                return chunk
            return self._read(chunk)
        if not chunk:
            return b""
        passed = self._reassemble(chunk)
        self._is_clean = self._assembler.is_idle() and not self._line_feed_due
        return passed

    def _reassemble(self, chunk: bytes) -> bytes:
        if self._line_feed_due:
            self._line_feed_due = False
            if self._assembler.is_idle():
                chunk = chunk.removeprefix(b"\n")
        given_up, events = self._assembler.push(chunk)
        if not self._strip:
            if events:
                self._read(events)
            return chunk
        return given_up + self._read(events) if events else given_up

    def at_event_boundary(self) -> bool:
        """True between events; where incomplete events are held back the client is always between two."""
        return not self._assembler.overflowed if self._strip else self._assembler.is_idle()

    def close(self) -> bytes:
        """Reads what came without its blank line, and hands it on if it was held back."""
        rest = self._assembler.release()
        kept = self._read(rest) if rest else b""
        return kept if self._strip else b""

    def _read(self, events: bytes) -> bytes:
        self.streamed_tokens += events.count(self._content_mark)
        if self._origin_known and not _may_tell(events):
            return events
        kept: list[bytes] = []
        for event in sse.split_events(events):
            body = event.lstrip(b"\r\n")
            taken_out = (not self._origin_known or _TELLING.search(event) is not None) and self._examine(body)
            self._line_feed_due = taken_out and event.endswith(b"\r")
            if taken_out:
                # Blank lines that lead the event may have come, and gone, with an earlier chunk.
                kept.append(event[: len(event) - len(body)])
            else:
                kept.append(event)
        return b"".join(kept) if self._strip else events

    def _examine(self, event: bytes) -> bool:
        """Notes what the event tells; whether it is the usage event that must be taken out."""
        data = sse.data_of(event)
        if data.strip() == b"[DONE]":
            self.finished = True
            return False
        if sse.name_of(event) == b"error":
            self.failed = True
        try:
            value = orjson.loads(data) if data else None
        except orjson.JSONDecodeError:
            return False
        if type(value) is not dict:
            return False
        kind = value.get("type")
        broken = bool(value.get("error")) or kind in ("error", "response.failed")
        self.failed |= broken
        if type(kind) is str and kind in _ENDS:
            self.finished = True
            self._images += self._route.operation == "images"
        answer = value.get("response")
        if type(answer) is not dict:
            answer = value
        self._note_origin(answer)
        self._origin_known = True
        if self._route.kept is not None:
            self._note_made(answer)
        raw = answer.get("usage")
        if raw is None:
            groq = answer.get("x_groq")
            raw = groq.get("usage") if type(groq) is dict else None
        if raw is None:
            return False
        self._note_usage(raw, self._images)
        self.usage_final = not value.get("choices") or self.finished
        return self._strip and not value.get("choices") and not broken and len(event) <= MAX_HELD_BYTES


class SoundTap(StreamTap):
    """For a chat whose answer is spoken: what is said gets an id, by which the client names it in its next turn."""

    __slots__ = ("_seen",)

    def __init__(self, route: Route) -> None:
        StreamTap.__init__(self, route)
        self._seen: bytes | None = b""  # the end of what passed; None once the id is known

    def feed(self, chunk: bytes) -> bytes:
        """See `StreamTap.feed`."""
        kept = self._route.kept
        if self._seen is not None and kept is not None and kept.note is not None:
            seen = self._seen + chunk
            found = _SOUND.search(seen)
            self._seen = seen[-_SOUND_BYTES:] if found is None else None
            if found is not None:
                kept.note([found[1].decode()], False)
        return StreamTap.feed(self, chunk)
