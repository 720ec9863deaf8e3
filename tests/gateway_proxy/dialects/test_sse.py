"""sse: line ends, boundaries, and events put together from chunks cut anywhere."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.dialects import sse


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_of_the_standard(end: bytes) -> None:
    stream = b"event: a" + end + b"data: 1" + end + b"data:2" + end + end + b": note" + end + end + b"data"
    first, second, third = sse.split_events(stream)
    assert sse.data_of(first) == b"1\n2"
    assert sse.name_of(first) == b"a"
    assert sse.data_of(second) == sse.name_of(second) == b""
    assert third == b"data"
    assert sse.last_boundary(stream) == len(stream) - len(third)
    assert sse.first_boundary(stream) == len(first)


def test_one_crlf_is_one_line_end() -> None:
    assert sse.last_boundary(b"data: 1\r\n") == 0
    assert sse.first_boundary(b"data: 1\r\ndata: 2\r\n") == 0
    assert sse.last_boundary(b"data: 1\r\n\n") == 10


def test_further_blank_lines_belong_to_what_came_before() -> None:
    assert sse.last_boundary(b"a\n\n\n") == sse.last_boundary(b"\ra\n\n\n") - 1 == 4


def test_a_byte_order_mark_is_not_part_of_the_first_line() -> None:
    assert sse.data_of(b"\xef\xbb\xbfdata: 1\n\n") == b"1"


def test_only_one_blank_is_taken_off() -> None:
    assert sse.data_of(b"data:  1 \n\n") == b" 1 "


def test_an_event_beyond_the_limit_is_given_up_and_the_next_one_is_not() -> None:
    assembler = sse.Assembler(limit=10)
    assert assembler.push(b"data: 45") == (b"", b"")
    assert not assembler.is_idle()
    assert assembler.push(b"67890") == (b"data: 4567890", b"")
    assert assembler.overflowed
    assert assembler.push(b"still\n") == (b"still\n", b"")
    assert assembler.push(b"\ndata: 1\n\nda") == (b"\n", b"data: 1\n\n")
    assert not assembler.overflowed
    assert assembler.release() == b"da"
    assert assembler.is_idle()


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab:\n\r ", max_size=12).map(str.encode), max_size=12), st.integers(0, 20))
def test_no_byte_is_lost_or_moved(chunks: list[bytes], limit: int) -> None:
    assembler = sse.Assembler(limit)
    out = b""
    for chunk in chunks:
        given_up, events = assembler.push(chunk)
        assert sse.last_boundary(events) == len(events)
        out += given_up + events
    assert out + assembler.release() == b"".join(chunks)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize(
    ("lines", "data"),
    [
        ([b"data: a"], b"a"), ([b"data:a"], b"a"), ([b"event: x", b"data: a"], b"a"), ([b"event: x"], b""), ([b"data: "], b""),
        ([b"event: x", b"data: a", b"data: b"], b"a\nb"), ([b"data: a", b"id: 5"], b"a"), ([b": c", b"data: a"], b"a"),
        ([b"id: 5", b"event: x", b"data: a"], b"a"),
    ],
)  # fmt: skip
def test_the_payload_of_an_event_however_its_lines_stand(lines: list[bytes], data: bytes, end: bytes) -> None:
    assert sse.data_of(end.join(lines) + end + end) == data
