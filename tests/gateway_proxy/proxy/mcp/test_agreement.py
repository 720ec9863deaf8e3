"""What servers say of themselves."""

from typing import Any

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.agreement import read_agreement, read_capabilities, read_supported


def answer(**outcome: Any) -> Message:
    return Message("response", 1, outcome=outcome)


def test_supported_revisions() -> None:
    assert read_supported(answer(result={"supportedVersions": ["2026-07-28", 5]})) == ("2026-07-28",)
    error = {"code": -32022, "data": {"supported": ["2026-07-28"]}}
    assert read_supported(answer(error=error)) == ("2026-07-28",)
    for odd in ({"result": {}}, {"error": {"code": -32601}}, {"error": {"code": -32022, "data": 5}}):
        assert read_supported(answer(**odd)) == ()


def test_an_agreement() -> None:
    told = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
    assert read_agreement(answer(result=told)) == ("2025-06-18", {"tools": {}})
    assert read_agreement(answer(result={"protocolVersion": "2024-11-05"})) == ("2025-03-26", {})
    for odd in ({"result": {}}, {"result": {"protocolVersion": "1"}}, {"error": {"code": 1}}):
        with pytest.raises(UpstreamFailed):
            read_agreement(answer(**odd))
    assert read_capabilities({"capabilities": 5}) == {}
