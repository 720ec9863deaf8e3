"""Chat completions and their streams to the neutral form and back.

Thoughts stand where compatible servers have them: in `reasoning_content`, and with their signatures in `thinking_blocks`; a
call's signature where Google's own OpenAI interface has it.
"""

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
    read_event,
)
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking

_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "refused",
}
_FINISHES = {
    "stop": "stop", "sequence": "stop", "length": "length", "calls": "tool_calls", "refused": "content_filter",
}  # fmt: skip


def write_usage(usage: Usage) -> dict[str, Any]:
    """Cached input within the prompt, reasoning within the completion, as this API counts."""
    given, made = usage.input_tokens(), usage.output_tokens()
    prompt: dict[str, int] = {
        "cached_tokens": usage.cached_input,
        "audio_tokens": usage.audio_input,
    }
    written = usage.cache_write + usage.cache_write_1h
    if written:
        prompt["cache_write_tokens"] = written
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
        },
    }


def read_answer(value: dict[str, Any]) -> Answer:
    """Raises Unreadable."""
    choices = value.get("choices")
    if type(choices) is not list or not choices or type(choices[0]) is not dict:
        raise Unreadable("no choices")
    message = choices[0].get("message")
    if type(message) is not dict:
        raise Unreadable("no message")
    parts: list[Text | Call | Thinking] = []
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if type(thoughts) is str and thoughts:
        parts.append(Thinking(thoughts))
    for name in ("content", "refusal"):
        if type(message.get(name)) is str and message[name]:
            parts.append(Text(message[name]))
    for call in message.get("tool_calls") or ():
        try:
            arguments = orjson.loads(call["function"]["arguments"] or "{}")
            parts.append(Call(str(call["id"]), str(call["function"]["name"]), dict(arguments)))
        except (KeyError, TypeError, ValueError):
            raise Unreadable("a tool call that cannot be read") from None
    refused = bool(message.get("refusal"))
    stop = Stop("refused" if refused else _REASONS.get(str(choices[0].get("finish_reason")), "stop"))
    return Answer(str(value.get("id") or ""), str(value.get("model") or ""), parts, stop)


def write_answer(answer: Answer, usage: Usage | None, created_at: int) -> dict[str, Any]:
    """One choice."""
    texts = [part.text for part in answer.parts if type(part) is Text]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts else None,
        "refusal": None,
    }
    thoughts = [part for part in answer.parts if type(part) is Thinking]
    if thoughts:
        message["reasoning_content"] = "".join([thought.text for thought in thoughts])
        signed = [_write_thinking(thought) for thought in thoughts if thought.signature or thought.redacted]
        if signed:
            message["thinking_blocks"] = signed
    calls = [part for part in answer.parts if type(part) is Call]
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": orjson.dumps(call.arguments).decode()},
                **_write_signature(call.signature),
            }
            for call in calls
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _FINISHES[answer.stop.reason],
    }
    told: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": created_at // 1000,
        "model": answer.model,
        "choices": [choice],
    }
    if usage is not None:
        told["usage"] = write_usage(usage)
    return told


def _write_thinking(thought: Thinking) -> dict[str, str]:
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.redacted}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def _write_signature(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


class ChatReader:
    """Reads a provider's stream. Its pieces bear the choice's index; there is only one choice."""

    __slots__ = ("_begun", "_calls", "_finish", "_refused")

    def __init__(self) -> None:
        self._begun = False
        self._calls: set[int] = set()
        self._finish = False
        self._refused = False

    def read(self, data: bytes) -> Iterable[Event]:
        """Raises Unreadable."""
        if data.strip() == b"[DONE]":
            return (End(),)
        value = read_event(data)
        error = value.get("error")
        if error:
            told = error if type(error) is dict else {"message": str(error)}
            return (Broke(str(told.get("message") or ""), str(told.get("code") or told.get("type") or "")),)
        return self._read_chunk(value)

    def _read_chunk(self, value: dict[str, Any]) -> Iterable[Event]:
        # Azure's first chunk tells of its filters only, and has no name yet.
        if not self._begun and (value.get("id") or value.get("choices")):
            self._begun = True
            yield Begin(str(value.get("id") or ""), str(value.get("model") or ""))
        for choice in value.get("choices") or ():
            if type(choice) is not dict:
                raise Unreadable("a choice that is not an object")
            delta = choice.get("delta")
            if type(delta) is dict:
                yield from self._read_delta(delta)
            reason = choice.get("finish_reason")
            if reason is not None and not self._finish:
                self._finish = True
                yield Finish(Stop("refused" if self._refused else _REASONS.get(str(reason), "stop")))

    def _read_delta(self, delta: dict[str, Any]) -> Iterable[Event]:
        thoughts = delta.get("reasoning_content") or delta.get("reasoning")
        if type(thoughts) is str:
            yield ThinkingDelta(thoughts)
        if delta.get("content"):
            yield TextDelta(str(delta["content"]))
        if delta.get("refusal"):
            self._refused = True
            yield TextDelta(str(delta["refusal"]))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") if type(call) is dict else None
            if type(function) is not dict or type(call.get("index", 0)) is not int:
                raise Unreadable("a tool call that cannot be read")
            index = call.get("index", 0)
            if index not in self._calls:
                self._calls.add(index)
                yield CallBegin(
                    index, str(call.get("id") or f"call_{index}"), str(function.get("name") or "")
                )
            if function.get("arguments"):
                yield CallDelta(index, str(function["arguments"]))


class ChatWriter:
    """Writes a client's stream: the first chunk names the role, the usage stands in a chunk of its own if it was asked for."""

    __slots__ = ("_created", "_head", "_wants_usage")

    def __init__(self, wants_usage: bool, created_at: int) -> None:
        self._created = created_at // 1000
        self._wants_usage = wants_usage
        self._head = b""

    def write(self, event: Event) -> bytes:
        """One chunk for each event that a client can see."""
        if isinstance(event, TextDelta):
            return self._chunk({"content": event.text})
        if isinstance(event, CallDelta):
            return self._chunk(
                {"tool_calls": [{"index": event.number, "function": {"arguments": event.text}}]}
            )
        if isinstance(event, CallBegin):
            call = {
                "index": event.number,
                "id": event.id,
                "type": "function",
                "function": {"name": event.name, "arguments": ""},
                **_write_signature(event.signature),
            }
            return self._chunk({"tool_calls": [call]})
        if isinstance(event, Begin):
            told = {
                "id": event.id,
                "object": "chat.completion.chunk",
                "created": self._created,
                "model": event.model,
            }
            self._head = b"data: " + orjson.dumps(told)[:-1] + b',"choices":['
            return self._chunk({"role": "assistant", "content": ""})
        if isinstance(event, ThinkingDelta):
            return self._chunk({"reasoning_content": event.text})
        if isinstance(event, ThinkingSigned):
            # The text went ahead as `reasoning_content`; it is not kept to be told twice.
            thought = Thinking("", event.signature, event.redacted)
            return self._chunk({"thinking_blocks": [_write_thinking(thought)]})
        if isinstance(event, Finish):
            finish = _FINISHES[event.stop.reason]
            return self._head + b'{"index":0,"delta":{},"finish_reason":"%b"}]}\n\n' % finish.encode()
        return b""

    def end(self, usage: Usage | None) -> bytes:
        """The usage, if it was asked for, and `[DONE]`."""
        told = b""
        if self._wants_usage and usage is not None:
            told = self._head + b'],"usage":' + orjson.dumps(write_usage(usage)) + b"}\n\n"
        return told + b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._head + b'{"index":0,"delta":%b,"finish_reason":null}]}\n\n' % orjson.dumps(delta)
