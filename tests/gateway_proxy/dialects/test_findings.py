"""findings: a whole answer is read once, at its end, and only if it is small enough."""

from typing import Any

from gateway_proxy.core.route import Route
from gateway_proxy.dialects.findings import WholeAnswer


class Recorder(WholeAnswer):
    def __init__(self, limit: int = 100) -> None:
        WholeAnswer.__init__(self, Route("x", "/x", "m"), limit)
        self.read: list[dict[str, Any]] = []

    def _read(self, answer: dict[str, Any]) -> None:
        self.read.append(answer)


def test_an_answer_in_pieces() -> None:
    tap = Recorder()
    assert tap.feed(b'{"a":') + tap.feed(b"1}") == b'{"a":1}'
    assert not tap.finished and not tap.at_event_boundary() and tap.read == []
    assert tap.close() == b"" and tap.finished and tap.read == [{"a": 1}]


def test_what_is_no_object_is_not_read() -> None:
    for body in (b"", b"[1]", b'{"a":', b"\xff\xfe"):
        tap = Recorder()
        assert tap.feed(body) == body
        tap.close()
        assert tap.read == [] and tap.finished


def test_too_much_passes_unread() -> None:
    tap = Recorder(limit=5)
    assert tap.feed(b'{"a"') + tap.feed(b":1}") == b'{"a":1}'
    tap.close()
    assert tap.read == []
