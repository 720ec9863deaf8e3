"""Origins from URLs, and back into header values."""

from __future__ import annotations

import pytest

from gateway_proxy.proxy.upstream import Origin


@pytest.mark.parametrize(
    ("url", "origin", "host_header", "netloc"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", 443), b"api.openai.com", "api.openai.com:443"),
        ("http://Localhost:8000", Origin("http", "localhost", 8000), b"localhost:8000", "localhost:8000"),
        ("http://[::1]:80/x", Origin("http", "::1", 80), b"[::1]", "[::1]:80"),
        ("https://[::1]:80", Origin("https", "::1", 80), b"[::1]:80", "[::1]:80"),
        ("https://bücher.example", Origin("https", "xn--bcher-kva.example", 443), b"xn--bcher-kva.example", "xn--bcher-kva.example:443"),
    ],
)  # fmt: skip
def test_from_url(url: str, origin: Origin, host_header: bytes, netloc: str) -> None:
    assert Origin.from_url(url) == origin
    assert (origin.host_header, origin.netloc) == (host_header, netloc)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h3idden.example",
        "h3idden.example",
        "https://",
        "https://u:h3idden@api.example",
        "https://api.example:h3idden",
        "https://h3idden example/",
        "https://h3idden\x00.example/",
    ],
)
def test_unusable_urls_are_refused_without_quoting_them(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        Origin.from_url(url)
    assert "h3idden" not in str(caught.value)
