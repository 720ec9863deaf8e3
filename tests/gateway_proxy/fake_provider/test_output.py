"""Framing and the bomb."""

import gzip

import pytest

from gateway_proxy.fake_provider.output import chunk, gzip_bomb, response_head


def test_a_chunk_is_framed_and_an_empty_one_does_not_end_the_body() -> None:
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"
    assert chunk(b"") == b""


@pytest.mark.parametrize(
    ("status", "line"), [(429, b"HTTP/1.1 429 Too Many Requests\r\n"), (599, b"HTTP/1.1 599 Unknown\r\n")]
)
def test_heads(status: int, line: bytes) -> None:
    assert response_head(status, [("a", "b")]) == line + b"a: b\r\n\r\n"


def test_the_bomb_is_small_and_unpacks_to_its_size() -> None:
    bomb = gzip_bomb(b"data: [DONE]\n\n", 8, b":")
    assert len(bomb) < 20_000
    unpacked = gzip.decompress(bomb)
    assert len(unpacked) == (8 << 20) + 14
    assert unpacked.endswith(b" \ndata: [DONE]\n\n")
    assert unpacked.startswith(b": ")
