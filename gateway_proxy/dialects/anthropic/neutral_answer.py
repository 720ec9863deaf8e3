"""Messages and their streams to the neutral form and back."""

from collections.abc import Iterable
from typing import Any

import orjson

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.neutral.answer import (
    Answer,
    Begin,
    Broke,
    CallBegin,
    CallDelta,
    End,
    Event,
    Finish,
    Stop,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Unreadable,
)
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking

_REASONS = {
    "end_turn": "stop", "stop_sequence": "sequence", "max_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "calls", "refusal": "refused", "pause_turn": "stop",
}  # fmt: skip
_FINISHES = {
    "stop": "end_turn", "sequence": "stop_sequence", "length": "max_tokens", "calls": "tool_use", "refused": "refusal",
}  # fmt: skip


def write_usage(usage: Usage | None) -> dict[str, Any]:
    """Cached input beside the input, reasoning within the output, as this API counts. Its SDKs want the counts always."""
    if usage is None:
        usage = Usage()
    return {
        "input_tokens": usage.input + usage.audio_input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output_tokens(),
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def _read_stop(told: dict[str, Any]) -> Stop:
    sequence = told.get("stop_sequence")
    reason = _REASONS.get(str(told.get("stop_reason")), "stop")
    return Stop(reason, sequence if type(sequence) is str else None)


def read_answer(value: dict[str, Any]) -> Answer:
    """Raises Unreadable."""
    content = value.get("content")
    if type(content) is not list:
        raise Unreadable("no content")
    parts: list[Text | Call | Thinking] = []
    for block in content:
        try:
            kind = block["type"]
            if kind == "text":
                parts.append(Text(str(block["text"])))
            elif kind == "tool_use":
                parts.append(Call(str(block["id"]), str(block["name"]), dict(block["input"])))
            elif kind == "thinking":
                parts.append(Thinking(str(block["thinking"]), str(block.get("signature") or "")))
            elif kind == "redacted_thinking":
                parts.append(Thinking(redacted=str(block["data"])))
            else:
                raise Unreadable(f"a block of the type {str(kind)[:64]!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(str(error)) from None
    return Answer(str(value.get("id") or ""), str(value.get("model") or ""), parts, _read_stop(value))


def write_answer(answer: Answer, usage: Usage | None) -> dict[str, Any]:
    """A message."""
    content = [_write_block(part) for part in answer.parts]
    return {
        **_write_message(answer.id, answer.model),
        "content": content,
        **_write_stop(answer.stop),
        "usage": write_usage(usage),
    }


def _write_message(message_id: str, model: str) -> dict[str, Any]:
    return {"id": message_id, "type": "message", "role": "assistant", "model": model}


def _write_stop(stop: Stop) -> dict[str, Any]:
    return {"stop_reason": _FINISHES[stop.reason], "stop_sequence": stop.sequence}


def _write_block(part: Text | Call | Thinking) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Call):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.redacted}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


class MessageReader:
    """Reads a provider's stream."""

    __slots__ = ("_calls", "_open", "_said")

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}  # block → call
        self._open = ""  # what kind of block is under way
        self._said = False  # the call under way has any arguments yet

    def read(self, data: bytes) -> Iterable[Event]:
        """Raises Unreadable."""
        try:
            value = orjson.loads(data)
            kind = value["type"]
            if kind == "content_block_delta":
                return self._read_delta(value["index"], value["delta"])
            if kind == "content_block_start":
                return self._read_start(value["index"], value["content_block"])
            if kind == "content_block_stop":
                return self._read_stop(value["index"])
            if kind == "message_start":
                return (
                    Begin(str(value["message"].get("id") or ""), str(value["message"].get("model") or "")),
                )
            if kind == "message_delta":
                told = value["delta"]
                return (Finish(_read_stop(told)),) if told.get("stop_reason") else ()
            if kind == "message_stop":
                return (End(),)
            if kind == "error":
                return (
                    Broke(str(value["error"].get("message") or ""), str(value["error"].get("type") or "")),
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(str(error)[:200]) from None
        return ()  # a ping, or what nobody knows yet

    def _read_start(self, index: int, block: dict[str, Any]) -> tuple[Event, ...]:
        self._open = kind = block["type"]
        self._said = False
        if kind == "tool_use":
            self._calls[index] = number = len(self._calls)
            begin = CallBegin(number, str(block["id"]), str(block["name"]))
            if block.get("input"):
                self._said = True
                return begin, CallDelta(number, orjson.dumps(block["input"]).decode())
            return (begin,)
        if kind == "redacted_thinking":
            return (ThinkingSigned("", str(block["data"])),)
        if kind == "text":
            return (TextDelta(str(block["text"])),) if block.get("text") else ()
        if kind != "thinking":
            raise Unreadable(f"a block of the type {str(kind)[:64]!r}")
        return (ThinkingDelta(str(block["thinking"])),) if block.get("thinking") else ()

    def _read_delta(self, index: int, delta: dict[str, Any]) -> tuple[Event, ...]:
        kind = delta["type"]
        if kind == "text_delta":
            return (TextDelta(delta["text"]),)
        if kind == "input_json_delta":
            if not delta["partial_json"]:
                return ()
            self._said = True
            return (CallDelta(self._calls[index], delta["partial_json"]),)
        if kind == "thinking_delta":
            return (ThinkingDelta(delta["thinking"]),)
        if kind == "signature_delta":
            return (ThinkingSigned(delta["signature"]),)
        return ()

    def _read_stop(self, index: int) -> tuple[Event, ...]:
        if self._open == "tool_use" and not self._said:
            return (CallDelta(self._calls[index], "{}"),)  # others take an empty string for no JSON at all
        return ()


class MessageWriter:
    """Writes a client's stream: numbered blocks, one after the other."""

    __slots__ = ("_block", "_call", "_kind", "_stop")

    def __init__(self) -> None:
        self._block = -1
        self._kind = ""  # of the block under way
        self._call = -1  # its call
        self._stop = Stop("stop")

    def write(self, event: Event) -> bytes:
        """Raises Unreadable for pieces of a call whose block has been closed: blocks cannot be mixed."""
        if isinstance(event, TextDelta):
            return self._delta("text", {"type": "text_delta", "text": event.text})
        if isinstance(event, CallDelta):
            if self._kind != "tool_use" or self._call != event.number:
                raise Unreadable("the arguments of several calls are mixed")
            return self._delta("tool_use", {"type": "input_json_delta", "partial_json": event.text})
        if isinstance(event, CallBegin):
            self._call = event.number
            return self._open("tool_use", {"id": event.id, "name": event.name, "input": {}})
        if isinstance(event, ThinkingDelta):
            return self._delta("thinking", {"type": "thinking_delta", "thinking": event.text})
        if isinstance(event, ThinkingSigned):
            if event.redacted:
                return self._open("redacted_thinking", {"data": event.redacted})
            signed = self._delta("thinking", {"type": "signature_delta", "signature": event.signature})
            return signed + self._close()
        if isinstance(event, Begin):
            message = {
                **_write_message(event.id, event.model),
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
            }
            return _event("message_start", message={**message, "usage": write_usage(None)})
        if isinstance(event, Finish):
            self._stop = event.stop
            return self._close()
        return b""

    def end(self, usage: Usage | None) -> bytes:
        """The stop reason, which this API tells together with the usage, and the end."""
        last = _event("message_delta", delta=_write_stop(self._stop), usage=write_usage(usage))
        return self._close() + last + _event("message_stop")

    def _delta(self, kind: str, delta: dict[str, Any]) -> bytes:
        opening = b""
        if self._kind != kind:
            empty = {"text": ""} if kind == "text" else {"thinking": "", "signature": ""}
            opening = self._open(kind, empty)
        return opening + _event("content_block_delta", index=self._block, delta=delta)

    def _open(self, kind: str, block: dict[str, Any]) -> bytes:
        closing = self._close()
        self._block += 1
        self._kind = kind
        return closing + _event(
            "content_block_start", index=self._block, content_block={"type": kind, **block}
        )

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        self._kind = ""
        return _event("content_block_stop", index=self._block)


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))
