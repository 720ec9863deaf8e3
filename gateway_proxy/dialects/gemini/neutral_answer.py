"""Generated content, whole and streamed, to the neutral form. Each piece of a stream is a response of its own."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from gateway_proxy.dialects.neutral.answer import (
    Answer,
    Begin,
    Broke,
    CallBegin,
    CallDelta,
    Event,
    Finish,
    Stop,
    TextDelta,
    ThinkingDelta,
    Unreadable,
    read_event,
)
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking

_REFUSALS = frozenset(
    (
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    )
)  # fmt: skip


def read_answer(value: dict[str, Any]) -> Answer:
    """Raises Unreadable."""
    parts: list[Text | Call | Thinking] = []
    for part in _read_parts(value, 0):
        last = parts[-1] if parts else None
        if not isinstance(part, Call) and last is not None and type(last) is type(part):
            last.text += part.text
        else:
            parts.append(part)
    stop = _read_stop(value, any(type(part) is Call for part in parts))
    if stop is None and not parts:
        raise Unreadable("no candidates")
    return Answer(
        str(value.get("responseId") or ""), str(value.get("modelVersion") or ""), parts, stop or Stop("stop")
    )


def _first_candidate(value: dict[str, Any]) -> dict[str, Any]:
    candidates = value.get("candidates") or [{}]
    if type(candidates) is not list or type(candidates[0]) is not dict:
        raise Unreadable("candidates that are no list of objects")
    return candidates[0]


def _read_parts(value: dict[str, Any], calls: int) -> Iterator[Text | Call | Thinking]:
    """`calls`: how many there were before, to number those without an id."""
    content = _first_candidate(value).get("content") or {}
    try:
        for part in content.get("parts") or ():
            if "functionCall" in part:
                call = part["functionCall"]
                call_id = call.get("id") or f"call_{value.get('responseId') or ''}_{calls}"
                calls += 1
                arguments = call.get("args") or {}
                if type(arguments) is not dict:
                    raise Unreadable("arguments that are no object")
                yield Call(
                    str(call_id), str(call["name"]), arguments, str(part.get("thoughtSignature") or "")
                )
            elif "text" in part:
                yield Thinking(str(part["text"])) if part.get("thought") else Text(str(part["text"]))
            elif not part.keys() <= {"thoughtSignature", "thought"}:
                raise Unreadable(f"a part with {', '.join(part)[:64]}")
    except (AttributeError, KeyError, TypeError) as error:
        raise Unreadable(str(error)[:200]) from None


def _read_stop(value: dict[str, Any], has_calls: bool) -> Stop | None:
    feedback = value.get("promptFeedback")
    if type(feedback) is dict and feedback.get("blockReason") is not None:
        return Stop("refused")
    reason = _first_candidate(value).get("finishReason")
    if reason is None:
        return None
    if reason == "MAX_TOKENS":
        return Stop("length")
    if reason in _REFUSALS:
        return Stop("refused")
    return Stop("calls" if has_calls else "stop")


class ContentReader:
    """Reads a provider's stream, which has no end mark: the finish reason stands in its last response, or near it."""

    __slots__ = ("_begun", "_calls", "_finish")

    def __init__(self) -> None:
        self._begun = False
        self._calls = 0
        self._finish = False

    def read(self, data: bytes) -> Iterable[Event]:
        """Raises Unreadable."""
        value = read_event(data)
        error = value.get("error")
        if error is not None:
            told = error if type(error) is dict else {"message": str(error)}
            return (Broke(str(told.get("message") or ""), str(told.get("status") or "")),)
        return self._read_response(value)

    def _read_response(self, value: dict[str, Any]) -> Iterator[Event]:
        if not self._begun:
            self._begun = True
            yield Begin(str(value.get("responseId") or ""), str(value.get("modelVersion") or ""))
        for part in _read_parts(value, self._calls):
            if isinstance(part, Call):
                yield CallBegin(self._calls, part.id, part.name, part.signature)
                yield CallDelta(self._calls, orjson.dumps(part.arguments).decode())
                self._calls += 1
            elif part.text:
                yield ThinkingDelta(part.text) if isinstance(part, Thinking) else TextDelta(part.text)
        stop = _read_stop(value, self._calls > 0)
        if stop is not None and not self._finish:
            self._finish = True
            yield Finish(stop)
