"""What an answer has to offer so that any mode can send it, and the two OpenAI completion shapes.

A reply only builds bytes; it neither counts nor sends. An event includes its final empty line.
"""

import time
from typing import Any

import orjson

from gateway_proxy.fake_provider.job import Job
from gateway_proxy.fake_provider.usage import Count, chat_usage, forge_usage

DONE = b"data: [DONE]\n\n"


class Reply:
    """An answer without a stream: `body` is all there is."""

    content_type = "application/json"
    stream_type = "text/event-stream; charset=utf-8"
    streams = False

    def __init__(self, job: Job) -> None:
        self.job = job
        self.created = int(time.time())

    def body(self, count: Count) -> bytes:
        """The whole answer; `count` are the tokens made."""
        raise NotImplementedError

    def opening(self) -> list[bytes]:
        """Events before the first token."""
        return []

    def delta(self, position: int, text: str | None = None) -> bytes:
        """The event of the token at `position`; `text` replaces the token's own."""
        raise NotImplementedError

    def closing(self) -> list[bytes]:
        """Events after the last token, before the tail."""
        return []

    def tail(self, count: Count) -> tuple[bytes, bytes]:
        """(usage event or nothing, last event or nothing)."""
        return b"", b""

    def error_event(self, message: str) -> bytes:
        """The event that tells of a failure in mid-stream."""
        return data_event(error_body(message, "server_error", None))

    def error(self, status: int, message: str) -> dict[str, Any]:
        """The body of an answer that failed."""
        kind = {400: "invalid_request_error", 401: "invalid_request_error", 429: "requests"}
        code = "rate_limit_exceeded" if status == 429 else None
        return error_body(message, kind.get(status, "server_error"), code)

    def units(self) -> dict[str, int]:
        """What else than tokens is billed."""
        return {}


def error_body(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def data_event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


class CompletionReply(Reply):
    """`/v1/completions`. Choices take turns, token by token."""

    streams = True
    object_name = chunk_object_name = "text_completion"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._cache: dict[tuple[int, str], bytes] = {}

    def body(self, count: Count) -> bytes:
        answer: dict[str, Any] = {
            "id": self.job.id,
            "object": self.object_name,
            "created": self.created,
            "model": self.job.model,
            "system_fingerprint": "fp_fake",
            "choices": [self._choice(index) for index in range(self.job.choices)],
        }
        usage = forge_usage(chat_usage(count), self.job.behaviour.mode)
        if usage is not None:
            answer["usage"] = usage
        return orjson.dumps(answer)

    def delta(self, position: int, text: str | None = None) -> bytes:
        """Text is the same again and again, so its event is built once a choice."""
        index = position % self.job.choices
        piece = self.job.pieces[position // self.job.choices] if text is None else text
        event = self._cache.get((index, piece))
        if event is None:
            event = self._cache[(index, piece)] = self._chunk(self._piece(index, piece))
        return event

    def closing(self) -> list[bytes]:
        return [self._chunk(self._finish(index)) for index in range(self.job.choices)]

    def tail(self, count: Count) -> tuple[bytes, bytes]:
        usage = forge_usage(chat_usage(count), self.job.behaviour.mode)
        if not self.job.include_usage or usage is None:
            return b"", DONE
        event = self._chunk(None, usage)
        return event * 2 if self.job.behaviour.mode == "usage_twice" else event, DONE

    def _chunk(self, choice: dict[str, Any] | None, usage: dict[str, Any] | None = None) -> bytes:
        chunk: dict[str, Any] = {
            "id": self.job.id,
            "object": self.chunk_object_name,
            "created": self.created,
            "model": self.job.model,
            "system_fingerprint": "fp_fake",
            "choices": [] if choice is None else [choice],
        }
        if self.job.include_usage:
            chunk["usage"] = usage
        return data_event(chunk)

    def _choice(self, index: int) -> dict[str, Any]:
        text = "".join(self.job.pieces)
        return {"index": index, "text": text, "logprobs": None, "finish_reason": self.job.finish_reason}

    def _piece(self, index: int, piece: str) -> dict[str, Any]:
        return {"index": index, "text": piece, "logprobs": None, "finish_reason": None}

    def _finish(self, index: int) -> dict[str, Any]:
        return {"index": index, "text": "", "logprobs": None, "finish_reason": self.job.finish_reason}


class ChatReply(CompletionReply):
    """`/v1/chat/completions`, with a tool call where the job has a tool."""

    object_name = "chat.completion"
    chunk_object_name = "chat.completion.chunk"

    def opening(self) -> list[bytes]:
        delta: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if self.job.tool is not None:
            call = {"index": 0, "id": self._call_id, "type": "function"}
            call["function"] = {"name": self.job.tool.get("name"), "arguments": ""}
            delta = {"role": "assistant", "content": None, "tool_calls": [call]}
        return [self._chunk(self._delta(index, delta)) for index in range(self.job.choices)]

    def _choice(self, index: int) -> dict[str, Any]:
        text = "".join(self.job.pieces)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        if self.job.tool is not None:
            function = {"name": self.job.tool.get("name"), "arguments": text}
            message["content"] = None
            message["tool_calls"] = [{"id": self._call_id, "type": "function", "function": function}]
        return {"index": index, "message": message, "logprobs": None, "finish_reason": self.job.finish_reason}

    def _piece(self, index: int, piece: str) -> dict[str, Any]:
        if self.job.tool is None:
            return self._delta(index, {"content": piece})
        return self._delta(index, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})

    def _finish(self, index: int) -> dict[str, Any]:
        return self._delta(index, {}, self.job.finish_reason)

    @property
    def _call_id(self) -> str:
        return "call_" + self.job.id.removeprefix("fake-")

    @staticmethod
    def _delta(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
