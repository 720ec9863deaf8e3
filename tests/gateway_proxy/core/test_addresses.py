"""Public addresses, and the many ways to write one that is not."""

import pytest

from gateway_proxy.core.addresses import is_public


@pytest.mark.parametrize(
    "text", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public(text: str) -> None:
    assert is_public(text)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "3fff::1", "::127.0.0.1",
    ],
)  # fmt: skip
def test_not_public(text: str) -> None:
    assert not is_public(text)
