"""The revision of a message: the body decides, the header must agree."""

from typing import Any

import pytest

from gateway_proxy.mcp.errors import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, McpError
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.versions import (
    CAPABILITIES_KEY,
    LEGACY,
    MODERN,
    SUPPORTED,
    VERSION_KEY,
    negotiate,
    version_of,
)


def request(version: Any = None, method: str = "tools/list", **params: Any) -> Message:
    meta = {} if version is None else {"_meta": {VERSION_KEY: version, CAPABILITIES_KEY: {}}}
    return Message("request", 1, method, {**params, **meta})


def test_served_revisions() -> None:
    assert version_of(request(MODERN), MODERN) == MODERN
    assert version_of(request(), None) == "2025-03-26"
    for version in LEGACY:
        assert version_of(request(), version) == version
        assert version_of(request(method="initialize", protocolVersion=version), None) == version
    assert version_of(Message("notification", None, "notifications/cancelled"), MODERN) == MODERN


@pytest.mark.parametrize("asked", [MODERN, "1900-01-01", None, 3])
def test_an_initialize_that_asks_for_another_is_offered_our_newest(asked: Any) -> None:
    assert negotiate(asked) == "2025-11-25"


@pytest.mark.parametrize(
    ("message", "header", "code"),
    [
        (request(MODERN), None, HEADER_MISMATCH), (request(MODERN), "2025-11-25", HEADER_MISMATCH),
        (request(), MODERN, INVALID_PARAMS), (request(3), MODERN, INVALID_PARAMS),
        (request("1900-01-01"), "1900-01-01", UNSUPPORTED_VERSION), (request(), "1900-01-01", UNSUPPORTED_VERSION),
        (request("2025-11-25"), "2025-11-25", UNSUPPORTED_VERSION),
        (Message("request", 1, "tools/list", {"_meta": {VERSION_KEY: MODERN}}), MODERN, INVALID_PARAMS),
    ],
)  # fmt: skip
def test_what_cannot_be_served(message: Message, header: str | None, code: int) -> None:
    with pytest.raises(McpError) as caught:
        version_of(message, header)
    assert (caught.value.code, caught.value.status) == (code, 400)


def test_an_unknown_revision_is_told_those_that_are_served() -> None:
    with pytest.raises(McpError) as caught:
        version_of(request("1900-01-01"), "1900-01-01")
    assert caught.value.data == {"supported": list(SUPPORTED), "requested": "1900-01-01"}
