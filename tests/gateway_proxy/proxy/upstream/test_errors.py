"""The one question settlement asks of an error: may the provider have received part of the request?"""

from __future__ import annotations

import pytest

from gateway_proxy.proxy.upstream import (
    ConnectFailed,
    PoolExhausted,
    UpstreamBroken,
    UpstreamError,
    UpstreamTimeout,
)


@pytest.mark.parametrize(
    ("error", "request_sent"),
    [
        (ConnectFailed("x"), False),
        (PoolExhausted("x"), False),
        (UpstreamTimeout("first_byte", 1.5), True),
        (UpstreamBroken("x"), True),
    ],
)
def test_request_sent(error: UpstreamError, request_sent: bool) -> None:
    assert error.request_sent is request_sent


def test_a_timeout_names_its_phase_and_limit() -> None:
    assert (
        str(UpstreamTimeout("between_bytes", 1.5))
        == "upstream was silent for more than 1.5 s (phase between_bytes)"
    )
