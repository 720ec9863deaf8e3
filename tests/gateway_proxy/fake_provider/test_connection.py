"""HTTP on one connection."""

from tests.gateway_proxy.fake_provider.conftest import Raw
from tests.support.fake_provider import FakeProvider


def test_requests_on_one_connection_are_answered_in_order(raw: Raw) -> None:
    raw.chat("tokens=1 delay_ms=20")
    raw.chat("tokens=2")
    raw.chat("tokens=3", "connection: close\r\n")
    answers = raw.read_all().split(b"HTTP/1.1 200 OK")
    assert [answer.count(b"tok ") for answer in answers[1:]] == [1, 2, 3]


def test_expect_continue_is_answered_before_the_body(raw: Raw) -> None:
    raw.socket.sendall(
        b"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 25\r\n\r\n"
    )
    assert raw.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.socket.sendall(b'{"model":"m","input":"a"}')
    assert raw.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_nonsense_is_400_and_closed(raw: Raw) -> None:
    raw.socket.sendall(b"NONSENSE\r\n\r\n")
    assert raw.read_all().startswith(b"HTTP/1.1 400 ")


def test_closing_an_idle_connection_is_not_a_client_that_left(provider: FakeProvider) -> None:
    before = len(provider.stats()["closed_by_client"])
    raw = Raw(provider.port)
    raw.chat("tokens=1", "connection: close\r\n")
    raw.read_all()
    raw.socket.close()
    assert len(provider.stats()["closed_by_client"]) == before
