"""One exchange from acceptance to its last byte, under the orders of its behaviour.

It generates, bills exactly once, and sends. Billing comes before the last bytes, so whoever has the whole answer finds its bill
in the ledger. Prompt tokens are billed as soon as generation may have begun, except where the mode bills nothing.
"""

import asyncio
import dataclasses
from collections.abc import Callable

import orjson

from gateway_proxy.fake_provider.connection import Connection
from gateway_proxy.fake_provider.job import Job
from gateway_proxy.fake_provider.output import (
    FLUSH_BYTES,
    LAST_CHUNK,
    EventOutput,
    chunk,
    gzip_bomb,
    response_head,
)
from gateway_proxy.fake_provider.reply import Reply
from gateway_proxy.fake_provider.usage import Count

Bill = Callable[["Exchange", Count, str], None]
_HIDDEN_TOKEN_BYTES = 4


@dataclasses.dataclass(slots=True)
class Exchange:
    """A running request: what was made of it until now and whether it is billed."""

    connection: Connection
    job: Job
    reply: Reply
    write_bill: Bill
    generated: int = 0
    tail_bytes: int = 0
    billed: bool = False

    @property
    def count(self) -> Count:
        """Tokens up to now; the hidden ones are made first."""
        reasoning = min(self.generated, self.job.choices * self.job.reasoning)
        return Count(self.job.prompt_tokens, self.generated, self.job.cached_tokens, reasoning)

    def bill(self, outcome: str) -> None:
        """Write the bill once; what comes later is not billed."""
        if not self.billed:
            self.billed = True
            free = self.job.behaviour.mode in ("usage_zero", "status", "redirect", "endless_header")
            self.write_bill(self, Count(0, 0) if free else self.count, outcome)


async def perform(exchange: Exchange) -> None:
    """Serve one accepted request."""
    connection, behaviour = exchange.connection, exchange.job.behaviour
    if behaviour.head_delay_ms:
        await connection.pause(behaviour.head_delay_ms / 1000)
    if behaviour.mode == "silent" and behaviour.phase == "head":
        await connection.pause(behaviour.seconds)
    if behaviour.mode == "status":
        exchange.bill("status")
        _send_error(exchange, behaviour.status or 503)
    elif behaviour.mode == "redirect":
        exchange.bill("redirect")
        connection.write(response_head(307, [("location", behaviour.to), ("content-length", "0")]))
    elif behaviour.mode == "endless_header":
        exchange.bill("endless_header")
        await _send_endless_header(exchange)
    elif behaviour.mode == "error_after" or (
        behaviour.mode == "stream_error_after" and not _is_stream(exchange)
    ):
        await _generate(exchange, _after(exchange), None)
        exchange.bill("error")
        _send_error(exchange, behaviour.status or 500)
    elif _is_stream(exchange):
        await _stream(exchange)
    else:
        await _answer_whole(exchange)


def _is_stream(exchange: Exchange) -> bool:
    return exchange.job.stream and exchange.reply.streams


def _after(exchange: Exchange) -> int:
    return min(exchange.job.behaviour.after, exchange.job.total_tokens)


async def _generate(exchange: Exchange, until: int, output: EventOutput | None) -> None:
    """Make tokens up to `until` in all, at the ordered pace, until the client is gone (mode `buffers`: a bit longer)."""
    connection, behaviour = exchange.connection, exchange.job.behaviour
    delay_seconds = behaviour.delay_seconds
    if output is None and not delay_seconds:
        exchange.generated = until if not connection.closed else exchange.generated
        return
    loop = asyncio.get_running_loop()
    next_at, unread_bytes = loop.time(), 0
    while exchange.generated < until:
        if delay_seconds:
            next_at += delay_seconds
            await connection.pause(next_at - loop.time())
        if connection.closed and (behaviour.mode != "buffers" or unread_bytes >= behaviour.size):
            return
        made_bytes = _make_token(exchange, output)
        if connection.closed:
            unread_bytes += made_bytes
        elif output is not None and (delay_seconds or output.pending_bytes >= FLUSH_BYTES):
            await output.flush()


def _make_token(exchange: Exchange, output: EventOutput | None) -> int:
    position, job = exchange.generated, exchange.job
    exchange.generated += 1
    hidden = job.choices * job.reasoning
    if position < hidden:
        return _HIDDEN_TOKEN_BYTES
    position -= hidden
    if output is None:
        return len(job.pieces[position // job.choices])
    text = "x" * job.behaviour.size if position == 0 and job.behaviour.mode == "huge_event" else None
    return output.add(exchange.reply.delta(position, text))


async def _stream(exchange: Exchange) -> None:
    connection, job, reply = exchange.connection, exchange.job, exchange.reply
    behaviour, mode, total = job.behaviour, job.behaviour.mode, job.total_tokens
    collect = mode in ("gzip_bomb", "wrong_length")
    output = EventOutput(connection, behaviour, collect)
    if not collect:
        head = [*_headers(exchange, reply.stream_type), _CHUNKED]
        if mode == "stream_error_after":  # ends as it should, and the connection with it
            head.append(("connection", "close"))
        connection.write(response_head(200, head))
    for event in reply.opening():
        output.add(event)
    if mode in ("stream_error_after", "reset", "bad_chunk"):
        await _generate(exchange, _after(exchange), output)
        await output.flush()
        exchange.bill("disconnected" if connection.closed else mode)
        await _break_off(exchange, output)
        return
    if mode == "silent" and behaviour.phase == "body":
        await _generate(exchange, min(1, total), output)
        await output.flush()
        await connection.pause(behaviour.seconds)
    if behaviour.delay_seconds:
        await output.flush()
    await _generate(exchange, total, output)
    if exchange.generated < total or connection.closed:
        exchange.bill("disconnected")
        return
    for event in reply.closing():
        output.add(event)
    usage, last = reply.tail(exchange.count)
    exchange.tail_bytes = len(usage) + len(last)
    if mode == "cut":
        await _cut(exchange, output, usage, last)
        return
    exchange.bill("complete")
    for event in (usage, last):
        if event:
            output.add(event)
    if collect:
        await output.flush()
        await _send_bent(exchange, bytes(output.collected), reply.stream_type)
        return
    if mode == "split":
        await output.flush()
    await _finish_chunks(exchange, output)


async def _finish_chunks(exchange: Exchange, output: EventOutput) -> None:
    await output.flush()
    exchange.connection.write(LAST_CHUNK)


async def _break_off(exchange: Exchange, output: EventOutput) -> None:
    connection, mode = exchange.connection, exchange.job.behaviour.mode
    connection.keep_alive = False
    if mode == "stream_error_after":
        output.add(exchange.reply.error_event("The server had an error while processing your request"))
        await _finish_chunks(exchange, output)
    elif mode == "bad_chunk":
        connection.write(b"ZZZ\r\nthis is not a chunk size\r\n")
    else:
        await connection.flush()
        connection.reset()


async def _cut(exchange: Exchange, output: EventOutput, usage: bytes, last: bytes) -> None:
    """Bill everything, then send only a part of the tail."""
    behaviour = exchange.job.behaviour
    exchange.bill("cut")
    exchange.connection.keep_alive = False
    if behaviour.event == "done" and usage:
        output.add(usage)
        usage = b""
    piece = (usage + last)[: behaviour.size]
    if piece:
        output.add(piece)
    await output.flush()
    if behaviour.end == "clean":
        exchange.connection.write(LAST_CHUNK)


async def _answer_whole(exchange: Exchange) -> None:
    connection, job = exchange.connection, exchange.job
    mode = job.behaviour.mode
    if mode in ("reset", "bad_chunk"):
        await _generate(exchange, _after(exchange), None)
    else:
        await _generate(exchange, job.total_tokens, None)
    if connection.closed:
        exchange.bill("disconnected")
        return
    if mode == "huge_event" and job.pieces:
        job.pieces = ["x" * job.behaviour.size, *job.pieces[1:]]
    body, content_type = exchange.reply.body(exchange.count), exchange.reply.content_type
    if mode in ("reset", "bad_chunk"):
        exchange.bill(mode)
        connection.write(response_head(200, [*_headers(exchange, content_type), _CHUNKED]) + chunk(body[:10]))
        await _break_off(exchange, EventOutput(connection, job.behaviour, collect=True))
    elif mode == "cut":
        exchange.tail_bytes = len(body)
        exchange.bill("cut")
        connection.keep_alive = False
        connection.write(_sized_head(exchange, content_type, len(body)) + body[: job.behaviour.size])
    elif mode in ("gzip_bomb", "wrong_length"):
        exchange.bill("complete")
        await _send_bent(exchange, body, content_type)
    else:
        await _send_whole(exchange, body, content_type)


async def _send_whole(exchange: Exchange, body: bytes, content_type: str) -> None:
    connection, behaviour = exchange.connection, exchange.job.behaviour
    head = _sized_head(exchange, content_type, len(body))
    if behaviour.mode == "silent" and behaviour.phase == "body":
        connection.write(head)
        await connection.pause(behaviour.seconds)
        head = b""
        if connection.closed:
            exchange.bill("disconnected")
            return
    exchange.bill("complete")
    if behaviour.mode == "split":
        connection.write(head)
        size = max(1, behaviour.size)
        for start in range(0, len(body), size):
            connection.write(body[start : start + size])
            await connection.pause(behaviour.flush_ms / 1000)
    else:
        connection.write(head + body)
        await connection.drain()


async def _send_bent(exchange: Exchange, body: bytes, content_type: str) -> None:
    """The whole body with a lie about it: packed to a bomb, or a Content-Length that it does not have."""
    connection, behaviour = exchange.connection, exchange.job.behaviour
    if behaviour.mode == "wrong_length":
        connection.keep_alive = False
        connection.write(_sized_head(exchange, content_type, len(body) + 100) + body)
        return
    padding_start = b":" if exchange.job.stream and exchange.reply.streams else b""
    bomb = await asyncio.to_thread(gzip_bomb, body, behaviour.size_megabytes, padding_start)
    headers = [
        *_headers(exchange, content_type),
        ("content-encoding", "gzip"),
        ("content-length", str(len(bomb))),
    ]
    connection.write(response_head(200, headers) + bomb)
    await connection.drain()


async def _send_endless_header(exchange: Exchange) -> None:
    connection = exchange.connection
    connection.keep_alive = False
    connection.write(b"HTTP/1.1 200 OK\r\n")
    line = b"x-filler: " + b"a" * 1012 + b"\r\n"
    for _ in range(exchange.job.behaviour.size_megabytes * 16):
        if connection.closed:
            return
        connection.write(line * 64)
        await connection.drain()
        # Without a pause a fast reader would keep the loop from everybody else.
        await asyncio.sleep(0)


def _send_error(exchange: Exchange, status: int) -> None:
    behaviour = exchange.job.behaviour
    body = orjson.dumps(exchange.reply.error(status, f"The provider was told to fail with {status}"))
    headers = _headers(exchange, "application/json")
    if behaviour.retry_after:
        headers.append(("retry-after", behaviour.retry_after))
    headers.append(("content-length", str(len(body))))
    exchange.connection.write(response_head(status, headers) + body)


_CHUNKED = ("transfer-encoding", "chunked")


def _headers(exchange: Exchange, content_type: str) -> list[tuple[str, str]]:
    headers = [("content-type", content_type), ("x-request-id", "req_" + exchange.job.id)]
    if exchange.job.behaviour.mode == "ctl_header":
        headers.append(("x-control", "a\x01b\x00c\x7f"))
    return headers


def _sized_head(exchange: Exchange, content_type: str, size: int) -> bytes:
    return response_head(200, [*_headers(exchange, content_type), ("content-length", str(size))])
