from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway_proxy.admin.oidc_provider import OidcFailed, OidcProvider
from gateway_proxy.core.clock import FakeClock
from tests.support.oidc_server import (
    CLIENT_ID,
    OidcServer,
    run_oidc_server,
    sign_honestly,
    sign_with_an_unknown_key,
)

CLAIMS = {"aud": CLIENT_ID, "sub": "s", "iat": 1_700_000_000, "exp": 4_000_000_000, "nonce": "n"}


@pytest.fixture
async def server() -> AsyncIterator[OidcServer]:
    async with run_oidc_server() as server:
        yield server


@pytest.fixture
def provider(server: OidcServer, clock: FakeClock) -> OidcProvider:
    return OidcProvider(server.issuer, CLIENT_ID, None, clock)


async def test_discovery_and_keys_are_kept_for_an_hour(
    provider: OidcProvider, server: OidcServer, clock: FakeClock
) -> None:
    token = sign_honestly(CLAIMS | {"iss": server.issuer})
    for _ in range(3):
        assert (await provider.check(token, "n")).subject == "s"
    assert server.requests == ["discovery", "keys"]
    clock.advance(3600)
    await provider.check(token, "n")
    assert server.requests == ["discovery", "keys"] * 2


async def test_an_unknown_key_is_asked_for_once_a_minute(
    provider: OidcProvider, server: OidcServer, clock: FakeClock
) -> None:
    await provider.check(sign_honestly(CLAIMS | {"iss": server.issuer}), "n")
    forged = sign_with_an_unknown_key(CLAIMS | {"iss": server.issuer})
    for seconds, keys_read in ((0, 1), (59, 1), (1, 2), (30, 2), (30, 3)):
        clock.advance(seconds)
        with pytest.raises(OidcFailed, match="does not publish"):
            await provider.check(forged, "n")
        assert server.requests.count("keys") == keys_read


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://192.0.2.1/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_discovery_that_leads_elsewhere_is_refused(
    provider: OidcProvider, server: OidcServer, discovery: dict[str, Any]
) -> None:
    server.discovery = discovery
    with pytest.raises(OidcFailed):
        await provider.discover()


async def test_a_provider_that_is_away_is_said_to_be(clock: FakeClock) -> None:
    with pytest.raises(OidcFailed, match=r"127\.0\.0\.1 does not answer"):
        await OidcProvider("http://127.0.0.1:9", CLIENT_ID, None, clock).discover()


async def test_a_provider_without_a_document_is_refused(server: OidcServer, clock: FakeClock) -> None:
    with pytest.raises(OidcFailed, match="status 404"):
        await OidcProvider(f"{server.issuer}/realm", CLIENT_ID, None, clock).discover()


async def test_a_claimed_address_counts_only_when_verified(
    provider: OidcProvider, server: OidcServer
) -> None:
    claims = CLAIMS | {"iss": server.issuer, "email": "ada@example.com"}
    assert (await provider.check(sign_honestly(claims), "n")).email == ""
    assert (
        await provider.check(sign_honestly(claims | {"email_verified": True}), "n")
    ).email == "ada@example.com"
