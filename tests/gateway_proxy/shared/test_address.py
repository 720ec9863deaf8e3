"""shared.redis_url taken apart."""

import pytest

from gateway_proxy.shared.address import parse_address


@pytest.mark.parametrize(
    ("url", "shown", "user", "password"),
    [
        ("redis://cache", "cache:6379/0", "", ""),
        ("valkey://cache.internal:7000/3", "cache.internal:7000/3", "", ""),
        ("redis://:s%40fe@cache/1", "cache:6379/1", "", "s@fe"),
        ("redis://me:word@[::1]:6380", "::1:6380/0", "me", "word"),
        ("unix:///run/redis.sock?db=2", "/run/redis.sock/2", "", ""),
        ("unix://:word@/run/redis.sock", "/run/redis.sock/0", "", "word"),
    ],
)
def test_its_parts(url: str, shown: str, user: str, password: str) -> None:
    address = parse_address(url)
    assert (str(address), address.user, address.password) == (shown, user, password)
    assert address.tls is None
    assert not password or password not in repr(address)


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_an_encrypted_one_verifies_who_answers(scheme: str) -> None:
    tls = parse_address(f"{scheme}://cache").tls
    assert tls is not None and tls.check_hostname


@pytest.mark.parametrize("url", ["redis://cache/zero", "rediss://cache?ssl_ca_certs=/no/such/file"])
def test_what_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"number|ssl_ca_certs"):
        parse_address(url)
