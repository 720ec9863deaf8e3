"""What is done with each message."""

from typing import Any

import pytest

from gateway_proxy.core.key import McpMode, McpScope
from gateway_proxy.mcp.catalogue import Offer, make_catalogue, read_list
from gateway_proxy.mcp.door import Accept, Answer, Forward, Listen, plan
from gateway_proxy.mcp.errors import INVALID_PARAMS, METHOD_NOT_FOUND, McpError
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.methods import METHODS
from gateway_proxy.mcp.scope import Scope
from gateway_proxy.mcp.versions import SUPPORTED
from tests.support.exchanges import make_policy

NEW, OLD = "2026-07-28", "2025-11-25"
CATALOGUE = make_catalogue(
    [
        Offer(
            "a",
            {"tools": read_list("tools", [{"name": "x"}]), "prompts": read_list("prompts", [{"name": "p"}])},
        )
    ]
)
ALL = McpScope(enabled=True)


def ask(method: str, version: str = NEW, mcp: McpScope = ALL, server: str = "", **params: Any) -> Any:
    return plan(
        Message("request", 1, method, params), version, Scope(make_policy(mcp=mcp), CATALOGUE, server)
    )


def test_lists_are_ours_and_private() -> None:
    listed = ask("tools/list")
    assert isinstance(listed, Answer) and listed.result["cacheScope"] == "private"
    assert listed.result["tools"] == [{"name": "a__x"}] and ask("tools/list", OLD).result == {
        "tools": [{"name": "a__x"}]
    }


def test_calls_go_to_their_server_under_its_own_names() -> None:
    for method, params, sent in (
        ("tools/call", {"name": "a__x", "arguments": {"q": 1}}, {"name": "x", "arguments": {"q": 1}}),
        ("prompts/get", {"name": "a__p"}, {"name": "p"}), ("resources/read", {"uri": "mcp+a+u:1"}, {"uri": "u:1"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "a__p"}}, {"ref": {"type": "ref/prompt", "name": "p"}}),
    ):  # fmt: skip
        forward = ask(method, **params)
        assert isinstance(forward, Forward) and forward.method is METHODS[method]
        assert (forward.called.server, forward.called.params) == ("a", sent)


def test_what_the_gateway_says_of_itself() -> None:
    assert ask("initialize", OLD).result["protocolVersion"] == OLD
    assert ask("ping", OLD).result == {}
    discovered = ask("server/discover").result
    assert discovered["supportedVersions"] == list(SUPPORTED) and discovered["resultType"] == "complete"
    assert ask("subscriptions/listen", notifications={"toolsListChanged": True}) == Listen(
        {"a": {"toolsListChanged": True}}
    )


def test_what_is_not_answered() -> None:
    scope = Scope(make_policy(mcp=ALL), CATALOGUE)
    assert plan(Message("response", 1, outcome={"result": {}}), OLD, scope) == Accept()
    assert plan(Message("notification", None, "notifications/initialized"), OLD, scope) == Accept()


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("method", ["tasks/get", "logging/setLevel", "tools/Call"])
def test_what_is_not_offered(method: str, version: str) -> None:
    with pytest.raises(McpError) as caught:
        ask(method, version, uri="mcp+a+u:1")
    assert (caught.value.code, caught.value.status) == (METHOD_NOT_FOUND, 404 if version == NEW else 200)


@pytest.mark.parametrize(
    "mcp", [McpScope(), McpScope(True, McpMode.DENY_ALL), McpScope(True, McpMode.DENY_LIST, ("a",))]
)
def test_a_key_without_the_server_sees_nothing_of_it(mcp: McpScope) -> None:
    assert ask("tools/list", mcp=mcp).result["tools"] == []
    for server, name in (("", "a__x"), ("a", "x")):
        with pytest.raises(McpError) as caught:
            ask("tools/call", mcp=mcp, server=server, name=name)
        assert caught.value.code == INVALID_PARAMS
