"""Who may see the inside: this machine, and tokens that may read in the gateway's organization."""

from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.app.access import OperatorAccess
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.storage.database import StoreError


def ask(peer: str, headers: dict[str, str] | None = None) -> Any:
    transport = Mock()
    transport.get_extra_info = lambda name, default=None: (peer, 5) if name == "peername" else default
    return make_mocked_request("GET", "/metrics", headers=headers or {}, transport=transport)


class Tokens:
    """The secret names role and organization; the store can be away."""

    away = False

    async def authenticate(self, secret: str, ip: str) -> Actor | None:
        if self.away:
            raise StoreError("the store is away")
        role, _, organization = secret.partition("@")
        return Actor(name="t", role=Role(role), organization=organization) if organization else None


def make_access(organization: str = "default") -> tuple[OperatorAccess, Tokens, FakeClock]:
    clock, tokens = FakeClock(), Tokens()
    access = OperatorAccess(Mock(), clock, b"p" * 32, organization)
    access._tokens = tokens  # type: ignore[assignment]
    access.staleness_seconds = 30
    return access, tokens, clock


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_this_machine(peer: str) -> None:
    access, _, _ = make_access()
    assert await access.admits(ask(peer))


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "x-real-ip", "X-Forwarded-Host"])
async def test_nobody_else_without_a_token(header: str) -> None:
    access, _, _ = make_access()
    assert not await access.admits(ask("192.0.2.1"))
    assert not await access.admits(ask("127.0.0.1", {header: "127.0.0.1"}))
    assert not await access.admits(ask("192.0.2.1", {"Authorization": "Basic owner@default"}))


@pytest.mark.parametrize(
    ("token", "organization", "admitted"),
    [
        ("owner@default", "default", True),
        ("admin@default", "default", True),
        ("viewer@default", "default", True),
        ("member@default", "default", False),
        ("owner@other", "default", False),
        ("owner@other", "other", True),
        ("owner@default", "*", True),
        ("owner@other", "*", False),
        ("unknown", "default", False),
    ],
)
async def test_tokens_that_may_read(token: str, organization: str, admitted: bool) -> None:
    access, _, _ = make_access(organization)
    assert await access.admits(ask("192.0.2.1", {"Authorization": f"bearer {token}"})) is admitted


async def test_a_token_outlives_its_store_for_a_while() -> None:
    access, tokens, clock = make_access()
    request = ask("192.0.2.1", {"Authorization": "Bearer viewer@default"})
    assert await access.admits(request)
    tokens.away = True
    clock.advance(29)
    assert await access.admits(request)
    with pytest.raises(Unavailable):
        await access.admits(ask("192.0.2.1", {"Authorization": "Bearer owner@default"}))
    clock.advance(2)
    with pytest.raises(Unavailable):
        await access.admits(request)
