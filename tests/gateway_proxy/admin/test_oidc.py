import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.oidc import FLOW_SECONDS, OidcSignIn
from gateway_proxy.admin.oidc_provider import OidcFailed, OidcProvider
from gateway_proxy.admin.problem import NotAllowed
from gateway_proxy.admin.services import Admin
from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import CLI, PEPPER, join
from tests.support import oidc_server
from tests.support.oidc_server import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, OidcServer, run_oidc_server

BASE = "http://127.0.0.1:8080"


@pytest.fixture
async def provider() -> AsyncIterator[OidcServer]:
    async with run_oidc_server() as server:
        yield server


@pytest.fixture
def make(
    admin: Admin, owner: Actor, store: Store, clock: FakeClock, provider: OidcServer
) -> Callable[..., OidcSignIn]:
    def build(organization: str | None = "default", secret: str = CLIENT_SECRET) -> OidcSignIn:
        client = OidcProvider(provider.issuer, CLIENT_ID, Secret(secret), clock)
        return OidcSignIn(
            client,
            store.identity,
            admin.sessions,
            clock,
            pepper=PEPPER,
            dashboard_url=f"{BASE}/dashboard",
            organization=organization,
        )

    return build


async def visit(url: str) -> dict[str, str]:
    """What the provider sends the visitor's browser back with."""
    async with aiohttp.ClientSession() as browser, browser.get(url, allow_redirects=False) as answer:
        location = answer.headers["Location"]
    assert location.startswith(f"{BASE}/dashboard/oidc/callback?")
    return dict(parse_qsl(urlsplit(location).query))


async def sign_in(oidc: OidcSignIn, next_path: str = "") -> tuple[Actor, str, str]:
    begun = await oidc.begin(next_path)
    done, wanted = await oidc.finish(begun.cookie, await visit(begun.url), "192.0.2.5", "browser")
    return done.actor, done.cookie, wanted


async def test_an_invited_member_signs_in_and_stays_linked(
    make: Callable[..., OidcSignIn], admin: Admin, owner: Actor, provider: OidcServer, store: Store
) -> None:
    await admin.members.add(owner, {"email": "bob@example.com", "role": "viewer"})
    provider.person = {"sub": "b", "email": "Bob@Example.com", "email_verified": True}
    oidc = make()
    actor, cookie, wanted = await sign_in(oidc, "/dashboard/logs?x=1")
    assert (actor.email, actor.role.value, wanted) == ("bob@example.com", "viewer", "/dashboard/logs?x=1")
    assert await admin.sessions.authenticate(cookie, "192.0.2.5") == actor
    assert (await admin.members.find(owner, actor.member_id))["status"] == "active"
    # From now on the subject counts: neither a new address nor a missing one matters.
    provider.person = {"sub": "b", "email": "robert@example.com"}
    assert (await sign_in(oidc))[0].member_id == actor.member_id
    newest = (await store.keys.list_changes())[0]
    assert (newest.action, newest.details_json) == ("member.signed_in", '{"method":"oidc"}')


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "e", "email": "eve@example.com", "email_verified": True},
        {"sub": "e", "email": "ada@example.com", "email_verified": False},
        {"sub": "e", "email": "ada@example.com", "email_verified": "true"},
        {"sub": "e", "email": "ada@example.com"},
        {"sub": "e"},
    ],
)
async def test_strangers_and_unverified_addresses_stay_outside(
    make: Callable[..., OidcSignIn], provider: OidcServer, person: dict[str, Any]
) -> None:
    provider.person = person
    with pytest.raises(NotAllowed) as refused:
        await sign_in(make())
    assert refused.value.code == "not_a_member"


async def test_an_address_may_come_from_the_user_info_endpoint(
    make: Callable[..., OidcSignIn], provider: OidcServer
) -> None:
    provider.person = {"sub": "e"}
    told: dict[str, Any] = {"sub": "e", "email": "ada@example.com", "email_verified": True}
    for wrong in ({}, told | {"sub": "f"}, told | {"email_verified": False}, {"sub": "e"}):
        provider.user_info = wrong
        with pytest.raises(NotAllowed, match="not verified"):
            await sign_in(make())
    provider.user_info = told
    oidc = make()
    assert (await sign_in(oidc))[0].email == "ada@example.com"
    provider.requests.clear()
    assert (await sign_in(oidc))[0].email == "ada@example.com"
    assert "user info" not in provider.requests, "the subject is known now"


async def test_another_subject_with_a_members_address_is_refused(
    make: Callable[..., OidcSignIn], provider: OidcServer
) -> None:
    oidc = make()
    await sign_in(oidc)
    provider.person = provider.person | {"sub": "subject-2"}
    with pytest.raises(NotAllowed, match="another account"):
        await sign_in(oidc)


async def test_only_members_of_the_organization(
    make: Callable[..., OidcSignIn], admin: Admin, owner: Actor
) -> None:
    await admin.organizations.add(owner, {"name": "acme"})
    with pytest.raises(NotAllowed, match="not a member"):
        await sign_in(make(organization="acme"))
    await join(admin, CLI, "ada@example.com", "member", organization="acme")
    assert (await sign_in(make(organization="acme")))[0].organization == "acme"
    assert (await sign_in(make()))[0].organization == "default"
    with pytest.raises(NotAllowed, match="several"):
        await sign_in(make(organization=None))


def set_claim(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda claims: claims.update({name: value})


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (set_claim("nonce", "another"), "another sign-in"),
        (set_claim("nonce", None), "another sign-in"),
        (lambda claims: claims.pop("nonce"), "another sign-in"),
        (set_claim("aud", "somebody"), "InvalidAudience"),
        (set_claim("aud", []), "MissingRequiredClaim|InvalidAudience|audience"),
        (set_claim("iss", "http://127.0.0.1:1"), "InvalidIssuer"),
        (set_claim("exp", 1_000_000_000), "ExpiredSignature"),
        (lambda claims: claims.pop("exp"), "MissingRequiredClaim"),
        (set_claim("iat", 9_000_000_000), "ImmatureSignature"),
        (set_claim("sub", ""), "no subject"),
        (set_claim("sub", 5), "InvalidSubject"),
        (lambda claims: claims.pop("sub"), "MissingRequiredClaim"),
        (set_claim("azp", "somebody"), "another client"),
    ],
)
async def test_a_wrong_claim_is_refused(
    make: Callable[..., OidcSignIn],
    provider: OidcServer,
    store: Store,
    tamper: Callable[..., None],
    reason: str,
) -> None:
    provider.tamper = tamper
    before = await store.keys.list_changes()
    with pytest.raises(OidcFailed, match=reason):
        await sign_in(make())
    assert await store.keys.list_changes() == before


@pytest.mark.parametrize(
    ("sign", "reason"),
    [
        (oidc_server.sign_not_at_all, "asymmetric"),
        (oidc_server.sign_with_the_public_key, "asymmetric"),
        (oidc_server.sign_with_another_key, "InvalidSignature"),
        (oidc_server.sign_with_an_unknown_key, "does not publish"),
        (lambda claims: "not.a.token", "DecodeError"),
        (lambda claims: "", "DecodeError"),
        (lambda claims: oidc_server.sign_honestly(claims)[:-8], "DecodeError|InvalidSignature"),
    ],
)
async def test_a_wrong_signature_is_refused(
    make: Callable[..., OidcSignIn], provider: OidcServer, sign: Callable[..., str], reason: str
) -> None:
    provider.sign = sign
    with pytest.raises(OidcFailed, match=reason):
        await sign_in(make())


async def test_a_state_works_once_and_for_its_browser_only(
    make: Callable[..., OidcSignIn], clock: FakeClock
) -> None:
    oidc = make()
    mine, other = await oidc.begin(), await oidc.begin()
    query = await visit(mine.url)
    for cookie in (other.cookie, "", "x", mine.cookie[:-1], "é.é", mine.cookie + "x"):
        with pytest.raises(OidcFailed, match="start again"):
            await oidc.finish(cookie, query, "", "")
    with pytest.raises(OidcFailed, match="start again"):
        await oidc.finish(mine.cookie, {"code": query["code"]}, "", "")
    await oidc.finish(mine.cookie, query, "", "")
    with pytest.raises(OidcFailed, match="finished already"):
        await oidc.finish(mine.cookie, query, "", "")
    late = await oidc.begin()
    clock.advance(FLOW_SECONDS + 1)
    with pytest.raises(OidcFailed, match="start again"):
        await oidc.finish(late.cookie, await visit(late.url), "", "")


@pytest.mark.parametrize("more", [{"error": "access_denied"}, {"code": ""}, {"iss": "https://evil.example"}])
async def test_a_refusal_of_the_provider_is_told_plainly(
    make: Callable[..., OidcSignIn], provider: OidcServer, more: dict[str, str]
) -> None:
    oidc = make()
    begun = await oidc.begin()
    with pytest.raises(OidcFailed):
        await oidc.finish(begun.cookie, await visit(begun.url) | more, "", "")
    assert "token" not in provider.requests


async def test_a_code_of_another_flow_fails_by_its_challenge(make: Callable[..., OidcSignIn]) -> None:
    oidc = make()
    mine, other = await oidc.begin(), await oidc.begin()
    stolen = (await visit(other.url))["code"]
    with pytest.raises(OidcFailed, match="refused the request"):
        await oidc.finish(mine.cookie, await visit(mine.url) | {"code": stolen}, "", "")


async def test_nothing_secret_is_told(
    make: Callable[..., OidcSignIn], provider: OidcServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    oidc = make(secret="wrong-canary")
    begun = await oidc.begin()
    with pytest.raises(OidcFailed) as refused:
        await oidc.finish(begun.cookie, await visit(begun.url), "", "")
    _, cookie, _ = await sign_in(make())
    told = f"{begun!r} {refused.value!r} {refused.value} {await store.keys.list_changes()} {caplog.text}"
    for canary in ("wrong-canary", CLIENT_SECRET, ACCESS_TOKEN, cookie, begun.cookie):
        assert canary not in told
