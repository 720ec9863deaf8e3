"""Every mode, on the wire and in the books."""

import gzip
import json
import socket
import time
from typing import Any

import pytest

from gateway_proxy.fake_provider.ledger import Entry
from tests.gateway_proxy.fake_provider.conftest import Raw
from tests.support.fake_provider import FakeProvider

STREAM: Any = {"stream": True, "stream_options": {"include_usage": True}}


def last_bill(provider: FakeProvider) -> Entry:
    entry = provider.settled_ledger()[-1]
    assert entry.billed
    return entry


def body_of(data: bytes) -> Any:
    return json.loads(data.partition(b"\r\n\r\n")[2])


def usages(data: bytes) -> list[Any]:
    events = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: {")]
    return [json.loads(event)["usage"] for event in events if json.loads(event).get("usage") is not None]


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_honest_mode_bills_what_was_made_when_the_client_left(
    raw: Raw, provider: FakeProvider, stream: Any
) -> None:
    raw.chat("tokens=1000 delay_ms=2", **stream)
    if stream:
        raw.read_until(b"tok ")
    else:
        provider.stats()
    raw.socket.close()
    entry = last_bill(provider)
    assert entry.outcome == "disconnected"
    assert entry.completion_tokens < 500
    assert entry.prompt_tokens > 0
    closed = provider.stats()["closed_by_client"][-1]
    assert closed["id"] == entry.id
    assert 0 <= time.monotonic() - closed["monotonic"] < 5


def test_buffers_mode_goes_on_for_so_many_bytes(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=buffers tokens=1000 delay_ms=1", **STREAM)
    raw.read_until(b"tok ")
    raw.socket.close()
    entry = last_bill(provider)
    one_event = 240
    assert 2048 // one_event <= entry.completion_tokens < 200


def test_buffers_mode_without_a_stream(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=buffers bytes=400 tokens=1000 delay_ms=1")
    provider.stats()
    raw.socket.close()
    assert 100 <= last_bill(provider).completion_tokens < 300


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_exceeds_cap(raw: Raw, provider: FakeProvider, stream: Any) -> None:
    raw.chat("mode=exceeds_cap", "connection: close\r\n", max_tokens=20, **stream)
    assert raw.read_all().count(b"tok ") == 22
    assert last_bill(provider).completion_tokens == 22


@pytest.mark.parametrize(
    ("mode", "reported"),
    [
        ("no_usage", []),
        ("usage_zero", [0]),
        ("usage_twice", [16, 16]),
        ("usage_negative", [-16]),
        ("usage_float", [16.5]),
        ("usage_string", ["16"]),
        ("usage_huge", [2**63]),
    ],
)
def test_usage_modes(raw: Raw, provider: FakeProvider, mode: str, reported: list[Any]) -> None:
    raw.chat(f"mode={mode}", "connection: close\r\n", **STREAM)
    data = raw.read_all()
    assert [usage["completion_tokens"] for usage in usages(data)] == reported
    assert b"data: [DONE]" in data
    assert last_bill(provider).completion_tokens == (0 if mode == "usage_zero" else 16)


@pytest.mark.parametrize("stream", [{}, STREAM])
@pytest.mark.parametrize("status", [429, 500])
def test_error_after(raw: Raw, provider: FakeProvider, status: int, stream: Any) -> None:
    raw.chat(f"mode=error_after status={status} after=4 retry_after=7", "connection: close\r\n", **stream)
    data = raw.read_all()
    assert data.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nretry-after: 7\r\n" in data
    assert body_of(data)["error"]["type"]
    assert last_bill(provider).completion_tokens == 4


def test_stream_error_after(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=stream_error_after after=4", **STREAM)
    data = raw.read_all()
    assert data.startswith(b"HTTP/1.1 200 ")
    assert data.count(b"tok ") == 4
    assert b'data: {"error":{' in data
    assert data.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in data
    assert last_bill(provider).completion_tokens == 4


@pytest.mark.parametrize(("phase", "before"), [("head", b""), ("body", b"tok ")])
def test_silent_then_honest(raw: Raw, provider: FakeProvider, phase: str, before: bytes) -> None:
    started = time.monotonic()
    raw.chat(f"mode=silent seconds=0.15 phase={phase}", "connection: close\r\n", **STREAM)
    if before:
        raw.read_until(before)
        assert time.monotonic() - started < 0.15
    data = raw.read_all()
    assert time.monotonic() - started >= 0.15
    assert data.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert last_bill(provider).completion_tokens == 16


def test_leaving_a_silent_provider_bills_the_prompt_at_once(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=silent", **STREAM)
    provider.stats()
    raw.socket.close()
    entry = last_bill(provider)
    assert (entry.outcome, entry.completion_tokens) == ("disconnected", 0)
    assert entry.prompt_tokens > 0


def test_cut_at_every_byte_of_the_tail(provider: FakeProvider) -> None:
    sent = []
    lengths = range(0, 430, 60)
    for size in [*lengths, 100_000]:
        raw = Raw(provider.port)
        raw.chat(f"mode=cut bytes={size:06} tokens=2", **STREAM)
        data = raw.read_all()
        raw.socket.close()
        assert not data.endswith(b"0\r\n\r\n")
        sent.append(data)
        assert last_bill(provider).completion_tokens == 2
    tail_bytes = last_bill(provider).tail_bytes
    assert b"[DONE]" not in sent[0]
    assert usages(sent[0]) == []
    assert sent[-1].endswith(b"data: [DONE]\n\n\r\n")
    assert 380 < tail_bytes < 450
    for size, data in zip(lengths, sent, strict=False):
        last_chunk = data[data.rindex(b'"stop"}') :].partition(b"\n\n\r\n")[2]
        expected = b"" if size == 0 else b"%x\r\n" % min(size, tail_bytes)
        assert last_chunk.startswith(expected)
        assert len(last_chunk) == (0 if size == 0 else len(expected) + min(size, tail_bytes) + 2)


def test_cut_with_a_proper_end_and_at_done_only(raw: Raw) -> None:
    raw.chat("mode=cut bytes=6 event=done end=clean", **STREAM)
    data = raw.read_all()
    assert len(usages(data)) == 1
    assert data.endswith(b"6\r\ndata: \r\n0\r\n\r\n")


def test_cut_of_a_plain_answer(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=cut bytes=10")
    assert len(raw.read_all().partition(b"\r\n\r\n")[2]) == 10
    assert last_bill(provider).completion_tokens == 16


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_reset(raw: Raw, provider: FakeProvider, stream: Any) -> None:
    raw.chat("mode=reset after=5", **stream)
    with pytest.raises(ConnectionResetError):
        raw.read_all()
    assert last_bill(provider).completion_tokens == 5


def test_redirect_keeps_the_connection_and_costs_nothing(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=redirect to=http://127.0.0.1:9/v1/x")
    head = raw.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 307 ")
    assert b"location: http://127.0.0.1:9/v1/x\r\n" in head
    assert last_bill(provider).prompt_tokens == 0


def test_endless_header_is_bounded(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=endless_header megabytes=2")
    data = raw.read_all()
    assert len(data) >= 2 << 20
    assert b"\r\n\r\n" not in data
    assert last_bill(provider).prompt_tokens == 0


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_gzip_bomb(raw: Raw, provider: FakeProvider, stream: Any) -> None:
    raw.chat("mode=gzip_bomb megabytes=3", "connection: close\r\n", **stream)
    head, _, packed = raw.read_all().partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head
    unpacked = gzip.decompress(packed)
    assert len(unpacked) > 3 << 20
    assert unpacked.count(b"tok ") == 16
    assert last_bill(provider).completion_tokens == 16


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_bad_chunk(raw: Raw, provider: FakeProvider, stream: Any) -> None:
    raw.chat("mode=bad_chunk after=2", **stream)
    assert b"\r\nZZZ\r\n" in raw.read_all()
    assert last_bill(provider).completion_tokens == 2


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_wrong_length(raw: Raw, provider: FakeProvider, stream: Any) -> None:
    raw.chat("mode=wrong_length", **stream)
    head, _, body = raw.read_all().partition(b"\r\n\r\n")
    assert f"content-length: {len(body) + 100}".encode() in head
    assert last_bill(provider).completion_tokens == 16


@pytest.mark.parametrize("stream", [{}, STREAM])
def test_huge_event(raw: Raw, stream: Any) -> None:
    raw.chat("mode=huge_event bytes=300000", "connection: close\r\n", **stream)
    assert b"x" * 300_000 in raw.read_all()


def test_ctl_header(raw: Raw) -> None:
    raw.chat("mode=ctl_header", "connection: close\r\n")
    assert b"x-control: a\x01b\x00c\x7f\r\n" in raw.read_all()


def test_status(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("mode=status status=418 retry_after=1.5", "connection: close\r\n")
    data = raw.read_all()
    assert data.startswith(b"HTTP/1.1 418 ")
    assert b"retry-after: 1.5\r\n" in data
    assert last_bill(provider).prompt_tokens == 0


def test_crlf_events(raw: Raw) -> None:
    raw.chat("mode=crlf", "connection: close\r\n", **STREAM)
    assert b"data: [DONE]\r\n\r\n\r\n0\r\n\r\n" in raw.read_all()


def test_split_events_arrive_in_pieces(raw: Raw) -> None:
    raw.chat("mode=split bytes=7 flush_ms=0 tokens=1", "connection: close\r\n", **STREAM)
    chunks = raw.read_all().partition(b"\r\n\r\n")[2].split(b"7\r\n")
    assert len(chunks) > 50
    assert chunks[1] == b"data: {\r\n"


def test_slow_takes_its_time(raw: Raw) -> None:
    started = time.monotonic()
    raw.chat("mode=slow tokens=2 delay_ms=60 head_delay_ms=30", "connection: close\r\n", **STREAM)
    raw.read_all()
    assert time.monotonic() - started >= 0.15


def test_a_hundred_thousand_chunks_wait_for_the_reader(provider: FakeProvider) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", provider.port))
    raw = Raw.__new__(Raw)
    raw.socket = connection
    raw.chat("tokens=100000", **STREAM)
    raw.read_until(b"tok ")
    assert provider.stats()["active"] == 1
    connection.close()
    assert last_bill(provider).completion_tokens < 100_000


def test_a_hundred_thousand_chunks_all_come(raw: Raw, provider: FakeProvider) -> None:
    raw.chat("tokens=100000", "connection: close\r\n", **STREAM)
    assert raw.read_all().count(b'"content":"tok "') == 100_000
    assert last_bill(provider).outcome == "complete"
