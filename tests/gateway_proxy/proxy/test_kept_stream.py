"""A stream is remembered up to a bound, and only what was sent of it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway_proxy.proxy import kept_stream
from gateway_proxy.proxy.kept_stream import KeptStream


class Transport:
    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


def begin(content_type: str = "text/event-stream") -> tuple[KeptStream, Transport]:
    answer = KeptStream(200, f"content-type: {content_type}\r\n", 9)
    transport: Any = Transport()
    answer._transport, answer._protocol = transport, SimpleNamespace(transport=transport)
    return answer, transport


def test_the_beginning_is_kept_and_everything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_stream, "MAX_BYTES", 5)
    answer, transport = begin()
    for piece in (b"abc", b"", b"def", b"ghi"):
        answer.send(piece)
    assert transport.written == b"abcdefghi"
    assert (b"".join(answer.kept), answer.kept_size) == (b"abcde", 9)


def test_what_is_no_text_is_counted() -> None:
    answer, _ = begin("audio/mpeg")
    answer.send(b"\xff" * 10)
    assert (answer.kept, answer.kept_size) == ([], 10)


async def test_what_nobody_got_is_not_kept() -> None:
    answer, _ = begin()
    answer.send(b"a")
    answer._protocol.transport = None
    answer.send(b"b")
    await asyncio.sleep(0)
    assert (answer.kept, answer.kept_size) == ([b"a"], 1)
