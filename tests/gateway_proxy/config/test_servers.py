"""What is refused of a server's URL, in words that repeat nothing of it."""

from pathlib import Path

import pytest

from gateway_proxy.config.servers import check_postgres_url, check_redis_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p%40ss%2Fw@db:5432/g?sslmode=require",
        "postgresql://u@[::1]/g",
        "postgresql://u@db",
        "postgresql://u@/g?host=/run/postgresql&port=5433",
    ],
)
def test_stores_that_are_taken(url: str) -> None:
    check_postgres_url(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://u:p@ss/canary@db:5432/g", "percent-encode"),
        ("postgresql://u:1/canary@db/g", "percent-encode"),
        ("postgresql://u:1#canary@db/g", "percent-encode"),
        ("postgresql://u:canary@[::1/g", "valid URL"),
        ("postgresql://u:canary@db:abc/g", "valid URL"),
        ("postgres://u:canary@db/g", "must be a store"),
    ],
)
def test_stores_that_are_not(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        check_postgres_url(url)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://cache",
        "redis://cache/",
        "valkey://u:p%40ss@cache:6380/3",
        "redis://cache?db=4",
        "unix://u:p@/run/redis.sock?db=0",
        "unix:///run/redis.sock",
    ],
)
def test_counters_that_are_taken(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://cache/canary", "by its number"),
        ("redis://cache?db=canary", "by its number"),
        ("redis://u:p@ss/canary@cache/0", "percent-encode"),
        ("redis://u:1#canary@cache/0", "percent-encode"),
        ("rediss://cache?ssl_cert_reqs=canary", "remove the others"),
        ("rediss://cache?ssl_ca_certs=/no/such/canary", "No such file"),
        ("http://canary", "starts with"),
    ],
)
def test_counters_that_are_not(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        check_redis_url(url)
    assert "canary" not in str(caught.value)


def test_a_file_that_holds_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ValueError, match="no certificate"):
        check_redis_url(f"rediss://cache?ssl_ca_certs={tmp_path}/ca.pem")
