"""Anthropic's API: messages, whole and as typed events, and token counts."""

from typing import Any

import orjson

from gateway_proxy.fake_provider.job import Job
from gateway_proxy.fake_provider.reply import Reply
from gateway_proxy.fake_provider.usage import Count, forge_usage

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def error_body(status: int, message: str) -> dict[str, Any]:
    """Anthropic's error object."""
    return {
        "type": "error",
        "error": {"type": _ERROR_TYPES.get(status, "api_error"), "message": message},
        "request_id": "req_fake",
    }


def messages_usage(count: Count) -> dict[str, Any]:
    """Cached input stands beside the input, thinking within the output."""
    return {
        "input_tokens": count.prompt - count.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": count.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": count.completion,
        "output_tokens_details": {"thinking_tokens": count.reasoning},
        "service_tier": "standard",
    }


class MessagesReply(Reply):
    """`/v1/messages`: one block of text, or one use of a tool."""

    streams = True

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        job.choices = 1

    def body(self, count: Count) -> bytes:
        text = "".join(self.job.pieces)
        block: dict[str, Any] = {"type": "text", "text": text}
        if self.job.tool is not None:
            block = {**self._block(), "input": orjson.loads(text) if text else {}}
        usage = forge_usage(messages_usage(count), self.job.behaviour.mode)
        return orjson.dumps(self._message([block], self._stop_reason(), usage))

    def opening(self) -> list[bytes]:
        prompt = self.job.prompt_tokens
        usage = forge_usage(messages_usage(Count(prompt, 1, self.job.cached_tokens)), self.job.behaviour.mode)
        return [
            _event("message_start", message=self._message([], None, usage)),
            _event("content_block_start", index=0, content_block=self._block()),
            _event("ping"),
        ]

    def delta(self, position: int, text: str | None = None) -> bytes:
        piece = self.job.pieces[position] if text is None else text
        if self.job.tool is not None:
            part = {"type": "input_json_delta", "partial_json": piece}
        else:
            part = {"type": "text_delta", "text": piece}
        return _event("content_block_delta", index=0, delta=part)

    def closing(self) -> list[bytes]:
        return [_event("content_block_stop", index=0)]

    def tail(self, count: Count) -> tuple[bytes, bytes]:
        usage = forge_usage(messages_usage(count), self.job.behaviour.mode)
        members: dict[str, Any] = {"delta": {"stop_reason": self._stop_reason(), "stop_sequence": None}}
        if usage is not None:
            members["usage"] = usage
        event = _event("message_delta", **members)
        return event * 2 if self.job.behaviour.mode == "usage_twice" else event, _event("message_stop")

    def error_event(self, message: str) -> bytes:
        return b"event: error\ndata: " + orjson.dumps(error_body(500, message)) + b"\n\n"

    def error(self, status: int, message: str) -> dict[str, Any]:
        return error_body(status, message)

    def _message(
        self, content: list[Any], stop_reason: str | None, usage: dict[str, Any] | None
    ) -> dict[str, Any]:
        message = {
            "id": "msg_" + self.job.id,
            "type": "message",
            "role": "assistant",
            "model": self.job.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
        }
        return message if usage is None else {**message, "usage": usage}

    def _block(self) -> dict[str, Any]:
        if self.job.tool is None:
            return {"type": "text", "text": ""}
        return {
            "type": "tool_use",
            "id": "toolu_" + self.job.id,
            "name": self.job.tool.get("name"),
            "input": {},
        }

    def _stop_reason(self) -> str:
        return _STOP_REASONS[self.job.finish_reason]


class TokenCountReply(Reply):
    """`/v1/messages/count_tokens`: free."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._counted = job.prompt_tokens
        job.pieces, job.reasoning, job.choices, job.prompt_tokens, job.cached_tokens = [], 0, 1, 0, 0

    def body(self, count: Count) -> bytes:
        return orjson.dumps({"input_tokens": self._counted})

    def error(self, status: int, message: str) -> dict[str, Any]:
        return error_body(status, message)


def _event(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **members}) + b"\n\n"
