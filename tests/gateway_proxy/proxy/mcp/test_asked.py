"""The scope of a message is that of its key, at its endpoint, over the lists of now."""

from types import SimpleNamespace
from typing import Any

from gateway_proxy.core.key import Key, McpScope
from gateway_proxy.core.policy import compile_policy
from gateway_proxy.mcp.catalogue import Offer, make_catalogue
from gateway_proxy.mcp.message import Message
from gateway_proxy.proxy.mcp.asked import Asked


def test_the_scope_follows_the_catalogue() -> None:
    key = Key(id="key_a", name="a", organization="o", owner="local", mcp=McpScope(enabled=True))
    discovery = SimpleNamespace(catalogue=make_catalogue([Offer("a")]))
    revision: Any = SimpleNamespace(discovery=discovery, forbids=True)
    exchange: Any = SimpleNamespace(policy=compile_policy(key))
    nothing: Any = None
    message = Message("request", 1, "tools/list")
    asked = Asked(nothing, None, exchange, nothing, revision, message, "2026-07-28", "a", None, True)
    assert [offer.server for offer in asked.scope().offers()] == ["a"] and asked.scope().forbids
    discovery.catalogue = make_catalogue([Offer("b")])
    assert not list(asked.scope().offers())
