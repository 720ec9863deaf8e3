"""Exchanges as the stages see them, with as little in them as a test needs."""

import ipaddress
from typing import Any

from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Key
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.core.usage import Price, Rates
from gateway_proxy.routing.made_ids import MadeIds
from gateway_proxy.stages.kept import Keeper, Keeping

PRICE = Price(Rates(input=2_000_000_000, output=10_000_000_000))  # 2 and 10 USD per million tokens


def make_policy(**members: Any) -> KeyPolicy:
    """A key's policy; without members it has no limits at all."""
    return KeyPolicy(
        Key(**{"id": "key_a", "name": "a", "organization": "default", "owner": "local", **members})
    )


def make_target(provider: str = "openai", price: Price | None = PRICE, **members: Any) -> Target:
    return Target(provider=provider, model=f"{provider}-m", price=price, **members)


def make_model(*targets: Target, **members: Any) -> ModelEntry:
    return ModelEntry(**{"name": "m", "targets": targets or (make_target(),), **members})


def make_route(**members: Any) -> Route:
    """A chat of 100 tokens at most, and a maximum of 50."""
    usual: dict[str, Any] = {
        "operation": "chat", "path": "/chat/completions", "model": "m", "body": {"model": "m"}, "body_bytes": 400,
        "max_output_tokens": 50, "wants_output_cap": True, "bound": InputBound(tokens=100),
    }  # fmt: skip
    return Route(**{**usual, **members})


def make_exchange(
    policy: KeyPolicy | None = None,
    model: ModelEntry | None = None,
    route: Route | None = None,
    **members: Any,
) -> Exchange:
    """An exchange that has come as far as what it is given."""
    head: dict[str, Any] = {
        "id": "req_1", "method": "POST", "path": "/v1/chat/completions", "operation": "chat",
        "headers": CIMultiDictProxy(CIMultiDict(members.pop("headers", {}))),
        "client_ip": members.pop("client_ip", ipaddress.ip_address("192.0.2.1")),
        "received_at": 1_790_000_000_000, "started_ns": 0,
    }  # fmt: skip
    exchange = Exchange(**head)
    exchange.policy, exchange.model, exchange.route = policy, model, route
    exchange.targets = () if model is None else model.targets
    for name, value in members.items():
        setattr(exchange, name, value)
    return exchange


def make_keeper(ids: MadeIds | None = None, **providers: Keeping) -> Keeper:
    """Providers "openai", "a" and "b" keep things, and others as they are told; it is 1970."""
    ids = MadeIds() if ids is None else ids
    known = {name: Keeping(f"at-{name}") for name in ("openai", "a", "b")}
    return Keeper(ids.find, ids.note, {**known, **providers}, lambda: 0)
