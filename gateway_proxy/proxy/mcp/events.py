"""Messages to a client as events, while its request runs: what a server says before it answers.

Only what belongs to the request is handed on; whether the client may be asked what a server asks was decided before. Source: MCP
2026-07-28, basic/transports/streamable-http (Receiving Messages).
"""

from typing import Any

from gateway_proxy.mcp.message import Message, write_json
from gateway_proxy.proxy.answers import StreamAnswer
from gateway_proxy.proxy.mcp.asked import Asked
from gateway_proxy.proxy.run import Run

EVENT_LINES = "content-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
_PASSED = frozenset(("notifications/progress", "notifications/message"))


def prepare_stream(asked: Asked) -> StreamAnswer:
    """A stream for this answer, not begun."""
    return StreamAnswer(200, asked.exchange.answer_lines + EVENT_LINES)


async def pass_on(run: Run, asked: Asked, message: Message) -> None:
    """Hand a server's notification to the client, at the pace of the client. Raises ConnectionError when it left."""
    passes = message.kind == "request" or message.method in _PASSED
    if not passes or not asked.takes_events:
        return
    answer = run.answer
    if answer is None:
        answer = run.answer = run.early_head or prepare_stream(asked)
        run.early_head = None
    if not answer.is_started:
        answer.start_now(run.request)
    answer.send(write_event(message.value()))
    run.last_write_at = run.task.get_loop().time() if run.task is not None else run.last_write_at
    if answer.is_paused:
        await answer.wait_until_writable()


def write_event(value: dict[str, Any]) -> bytes:
    """One message as a server-sent event."""
    return b"event: message\ndata: " + write_json(value) + b"\n\n"
