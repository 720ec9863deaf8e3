"""event tap: whole events are read in order, however they come, and nothing is held back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proxy.core.route import Route
from gateway_proxy.dialects.event_tap import EventTap
from gateway_proxy.dialects.findings import MAX_EVENT_BYTES


class Recorder(EventTap):
    def __init__(self) -> None:
        EventTap.__init__(self, Route("x", "/x", "m", stream=True))
        self.read = b""

    def _read(self, events: bytes) -> None:
        self.read += events


STREAM = b"data: a\n\n: c\n\nevent: b\r\ndata: x\r\n\r\ndata: tail\n\n"


@pytest.mark.slow
@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    tap = Recorder()
    for start, end in itertools.pairwise(edges):
        assert tap.feed(STREAM[start:end]) == STREAM[start:end]
    assert tap.close() == b"" and tap.read == STREAM


def test_between_events() -> None:
    tap = Recorder()
    assert tap.at_event_boundary()
    tap.feed(b"data: a\n")
    assert not tap.at_event_boundary() and tap.read == b""
    tap.feed(b"\n")
    assert tap.at_event_boundary() and tap.read == b"data: a\n\n"


def test_the_rest_is_read_at_the_end() -> None:
    tap = Recorder()
    tap.feed(b"data: a\n\ndata: b\n")
    assert tap.read == b"data: a\n\n"
    tap.close()
    assert tap.read == b"data: a\n\ndata: b\n"


def test_an_endless_event_is_not_kept() -> None:
    tap = Recorder()
    big = b"data: " + b"x" * MAX_EVENT_BYTES
    assert tap.feed(big) == big
    tap.feed(b"\n\ndata: a\n\n")
    assert tap.read == b"data: a\n\n" and tap.at_event_boundary()
