"""What went wrong upstream, in the client's terms."""

import pytest

from gateway_proxy.core.exchange import Outcome
from gateway_proxy.proxy.failures import CUT_OUTCOMES, cut_error, describe_failure
from gateway_proxy.proxy.run import Cut
from gateway_proxy.proxy.upstream import ConnectFailed, PoolExhausted, UpstreamError, UpstreamTimeout


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PoolExhausted("127.0.0.1:9"), 503, "overloaded"),
        (UpstreamTimeout("first_byte", 1.0), 504, "upstream_timeout"),
        (ConnectFailed("127.0.0.1:9"), 503, "upstream_unavailable"),
        (UpstreamError("127.0.0.1:9"), 502, "upstream_broken"),
    ],
)
def test_failures(error: UpstreamError, status: int, code: str) -> None:
    told = describe_failure(error, "fake")
    assert (told.status, told.code) == (status, code)
    assert "'fake'" in told.public and told.detail == str(error) and told.detail not in told.public


def test_cuts() -> None:
    assert (cut_error(Cut.REVOKED).status, cut_error(Cut.REVOKED).code) == (401, "key_revoked")
    assert (cut_error(Cut.SHUTDOWN).status, cut_error(Cut.CLIENT_GONE).status) == (503, 499)
    assert set(CUT_OUTCOMES) == set(Cut) and CUT_OUTCOMES[Cut.CLIENT_GONE] is Outcome.CLIENT_GONE
