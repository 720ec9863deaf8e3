"""Proxy choice by environment, held to urllib's rules."""

from __future__ import annotations

import pytest

from gateway_proxy.proxy.upstream import HttpProxy, Origin, proxy_for

HTTPS = Origin("https", "api.example", 443)
HTTP = Origin("http", "api.example", 80)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_https(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert proxy_for(HTTPS) is None
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert proxy_for(HTTPS) == HttpProxy("proxy.example", 3128)
    assert proxy_for(HTTP) is None


def test_an_upper_case_http_proxy_is_not_believed_in_cgi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://evil.example:1")
    assert proxy_for(HTTP) == HttpProxy("evil.example", 1)
    monkeypatch.setenv("REQUEST_METHOD", "POST")
    assert proxy_for(HTTP) is None
    monkeypatch.setenv("http_proxy", "http://good.example:2")
    assert proxy_for(HTTP) == HttpProxy("good.example", 2)


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize("value", ["*", "api.example", "other, .example", "api.example:443"])
def test_exceptions(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example")
    assert proxy_for(HTTPS) == HttpProxy("proxy.example", 80)
    monkeypatch.setenv(name, value)
    assert proxy_for(HTTPS) is None


def test_credentials_are_decoded_and_hidden() -> None:
    proxy = HttpProxy.from_url("http://us%40er:pa%3Ass@proxy.example:3128")
    assert proxy.authorization == b"Basic dXNAZXI6cGE6c3M="
    assert "dXN" not in repr(proxy)


@pytest.mark.parametrize("url", ["socks5://s3cret@h:1", "https://u:s3cret@h:1", "http://", "http://h:s3cret"])
def test_unusable_proxies_are_refused_without_quoting_them(url: str) -> None:
    with pytest.raises(ValueError, match="https_proxy") as caught:
        HttpProxy.from_url(url)
    assert "s3cret" not in str(caught.value)
