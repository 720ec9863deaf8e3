"""Failures of sockets in our words."""

import errno

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.http import failures, refusal

KEY = ConnectionKey("h", 80, False, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TimeoutError(), "upstream_timeout", "TimeoutError"),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.EACCES, "x")),
            "upstream_unavailable",
            "allow_private",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "x")),
            "upstream_unavailable",
            "Connector",
        ),
        (aiohttp.ClientPayloadError("secret"), "upstream_broken", "ClientPayloadError"),
        (ConnectionResetError(), "upstream_broken", "ConnectionResetError"),
    ],
)
def test_each_failure_has_its_code_and_no_text_of_others(error: Exception, code: str, words: str) -> None:
    with pytest.raises(UpstreamFailed) as caught, failures():
        raise error
    assert caught.value.code == code and words in caught.value.detail and "secret" not in caught.value.detail


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "upstream_auth_failed"), (403, "upstream_auth_failed"), (503, "upstream_unavailable"), (404, "upstream_broken")],
)  # fmt: skip
def test_a_status_instead_of_an_answer_has_its_code(status: int, code: str) -> None:
    assert refusal(status).code == code and str(status) in refusal(status).detail
