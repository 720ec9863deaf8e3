"""Gemini's API: generated content whole, as events and as an array; token counts; embeddings."""

from typing import Any

import orjson

from gateway_proxy.fake_provider.job import Job
from gateway_proxy.fake_provider.reply import Reply
from gateway_proxy.fake_provider.usage import Count, forge_usage

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
_FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
DIMENSIONS = 8


def error_body(status: int, message: str) -> dict[str, Any]:
    """Google's error object."""
    return {
        "error": {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")},
    }


def generation_usage(count: Count) -> dict[str, Any]:
    """Cached input stands within the prompt, thoughts beside the candidates."""
    usage: dict[str, Any] = {
        "promptTokenCount": count.prompt,
        "candidatesTokenCount": count.completion - count.reasoning,
        "totalTokenCount": count.prompt + count.completion,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": count.prompt}],
    }
    if count.cached:
        usage["cachedContentTokenCount"] = count.cached
    if count.reasoning:
        usage["thoughtsTokenCount"] = count.reasoning
    return usage


class GenerationReply(Reply):
    """`generateContent` and `streamGenerateContent?alt=sse`: each piece of a stream is a response with totals so far."""

    streams = True

    def body(self, count: Count) -> bytes:
        candidates = [self._candidate(index, "".join(self.job.pieces)) for index in range(self.job.choices)]
        for candidate in candidates:
            candidate["finishReason"] = _FINISH_REASONS[self.job.finish_reason]
        return orjson.dumps(self._response(candidates, count))

    def delta(self, position: int, text: str | None = None) -> bytes:
        index, piece = position % self.job.choices, self.job.pieces[position // self.job.choices]
        hidden = self.job.choices * self.job.reasoning
        count = Count(self.job.prompt_tokens, hidden + position + 1, self.job.cached_tokens, hidden)
        if self.job.tool is not None:
            return self._frame(self._response([], count))  # a call comes whole, at the end
        return self._frame(self._response([self._candidate(index, piece if text is None else text)], count))

    def tail(self, count: Count) -> tuple[bytes, bytes]:
        text = "".join(self.job.pieces) if self.job.tool is not None else ""
        candidates = [self._candidate(index, text) for index in range(self.job.choices)]
        for candidate in candidates:
            candidate["finishReason"] = _FINISH_REASONS[self.job.finish_reason]
        twice = self.job.behaviour.mode == "usage_twice"
        events = [self._frame(self._response(candidates, count)) for _ in range(1 + twice)]
        return b"", b"".join(events)

    def error_event(self, message: str) -> bytes:
        return self._frame(error_body(500, message))

    def error(self, status: int, message: str) -> dict[str, Any]:
        return error_body(status, message)

    def _frame(self, response: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(response) + b"\r\n\r\n"

    def _response(self, candidates: list[dict[str, Any]], count: Count) -> dict[str, Any]:
        response: dict[str, Any] = {"candidates": candidates} if candidates else {}
        usage = forge_usage(generation_usage(count), self.job.behaviour.mode)
        if usage is not None:
            response["usageMetadata"] = usage
        return {**response, "modelVersion": self.job.model, "responseId": self.job.id}

    def _candidate(self, index: int, text: str) -> dict[str, Any]:
        part: dict[str, Any] = {"text": text}
        if self.job.tool is not None:
            arguments = orjson.loads(text) if text else {}
            part = {"functionCall": {"name": self.job.tool.get("name"), "args": arguments}}
        return {"content": {"parts": [part], "role": "model"}, "index": index}


class GenerationArrayReply(GenerationReply):
    """`streamGenerateContent` without `alt=sse`: the same responses as elements of one array."""

    stream_type = "application/json; charset=UTF-8"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._begun = False

    def tail(self, count: Count) -> tuple[bytes, bytes]:
        usage, last = super().tail(count)
        return usage, last + b"\n]"

    def error_event(self, message: str) -> bytes:
        return super().error_event(message) + b"\n]"

    def _frame(self, response: dict[str, Any]) -> bytes:
        before, self._begun = b"\n,\r\n" if self._begun else b"[", True
        return before + orjson.dumps(response, option=orjson.OPT_INDENT_2)


class TokenCountReply(Reply):
    """`countTokens`: free."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._counted = job.prompt_tokens
        job.pieces, job.reasoning, job.choices, job.prompt_tokens, job.cached_tokens = [], 0, 1, 0, 0

    def body(self, count: Count) -> bytes:
        return orjson.dumps({"totalTokens": self._counted})

    def error(self, status: int, message: str) -> dict[str, Any]:
        return error_body(status, message)


class EmbeddingsReply(Reply):
    """`embedContent` and `batchEmbedContents`: one vector, or one a request."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        job.pieces, job.reasoning, job.choices = [], 0, 1

    def body(self, count: Count) -> bytes:
        embedding = {"values": [0.5] * DIMENSIONS}
        answer: dict[str, Any] = {"embedding": embedding}
        if self.job.body.get("requests"):
            answer = {"embeddings": [embedding] * self.job.body["requests"]}
        usage = {"promptTokenCount": count.prompt, "totalTokenCount": count.prompt}
        forged = forge_usage(usage, self.job.behaviour.mode)
        return orjson.dumps(answer if forged is None else {**answer, "usageMetadata": forged})

    def error(self, status: int, message: str) -> dict[str, Any]:
        return error_body(status, message)
