"""`/v1/responses`: one message or one function call, whole or as typed events."""

from typing import Any

import orjson

from gateway_proxy.fake_provider.job import Job
from gateway_proxy.fake_provider.reply import Reply
from gateway_proxy.fake_provider.usage import Count, forge_usage, responses_usage


class ResponsesReply(Reply):
    """The sequence numbers follow the order in which the events are built."""

    streams = True

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.id = "resp_" + job.id
        self._item_id = ("fc_" if job.tool is not None else "msg_") + job.id
        self._sequence = 0
        self.finished: dict[str, Any] | None = None  # what a provider would keep

    def body(self, count: Count) -> bytes:
        return orjson.dumps(self._final(count))

    def opening(self) -> list[bytes]:
        response = self._response("in_progress", [], None)
        events = [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
            self._event("response.output_item.added", output_index=0, item=self._item("in_progress", "")),
        ]
        if self.job.tool is None:
            events.append(self._part_event("response.content_part.added", part=_text_part("")))
        return events

    def delta(self, position: int, text: str | None = None) -> bytes:
        piece = self.job.pieces[position] if text is None else text
        if self.job.tool is not None:
            return self._event(
                "response.function_call_arguments.delta", item_id=self._item_id, output_index=0, delta=piece
            )
        return self._part_event("response.output_text.delta", delta=piece, logprobs=[])

    def closing(self) -> list[bytes]:
        text = "".join(self.job.pieces)
        if self.job.tool is not None:
            done = self._event(
                "response.function_call_arguments.done",
                item_id=self._item_id,
                output_index=0,
                name=self.job.tool.get("name"),
                arguments=text,
            )
            events = [done]
        else:
            events = [
                self._part_event("response.output_text.done", text=text, logprobs=[]),
                self._part_event("response.content_part.done", part=_text_part(text)),
            ]
        item = self._item("completed", text)
        return [*events, self._event("response.output_item.done", output_index=0, item=item)]

    def tail(self, count: Count) -> tuple[bytes, bytes]:
        response = self._final(count)
        event = self._event(f"response.{response['status']}", response=response)
        return b"", event * 2 if self.job.behaviour.mode == "usage_twice" else event

    def error_event(self, message: str) -> bytes:
        return self._event("error", code="server_error", message=message, param=None)

    def _final(self, count: Count) -> dict[str, Any]:
        usage = forge_usage(responses_usage(count), self.job.behaviour.mode)
        status = "incomplete" if self.job.finish_reason == "length" else "completed"
        self.finished = self._response(status, [self._item("completed", "".join(self.job.pieces))], usage)
        return self.finished

    def _response(self, status: str, output: list[Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        body = self.job.body
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": self.job.max_tokens,
            "model": self.job.model,
            "output": output,
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "previous_response_id": body.get("previous_response_id"),
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "store": body.get("store", True),
            "temperature": 1.0,
            "text": body.get("text") or {"format": {"type": "text"}},
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools") or [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage,
            "metadata": body.get("metadata") or {},
        }

    def _item(self, status: str, text: str) -> dict[str, Any]:
        if self.job.tool is not None:
            return {
                "id": self._item_id,
                "type": "function_call",
                "status": status,
                "call_id": "call_" + self.job.id,
                "name": self.job.tool.get("name"),
                "arguments": text,
            }
        content = [] if status == "in_progress" else [_text_part(text)]
        return {
            "id": self._item_id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _part_event(self, kind: str, **fields: Any) -> bytes:
        return self._event(kind, item_id=self._item_id, output_index=0, content_index=0, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        value = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return f"event: {kind}\ndata: ".encode() + orjson.dumps(value) + b"\n\n"


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
