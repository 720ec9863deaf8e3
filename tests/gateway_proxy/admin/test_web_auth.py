from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, DummyCookieJar
from aiohttp.test_utils import TestServer

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.services import Admin
from gateway_proxy.config.model import Server
from gateway_proxy.storage import Store
from tests.gateway_proxy.admin.conftest import PASSWORD
from tests.support.site import build_site

Ask = Callable[..., Awaitable[ClientResponse]]
OWN = {"Sec-Fetch-Site": "same-origin"}
BEHIND = {"client_ip": "203.0.113.9"}


@pytest.fixture
async def make_site(admin: Admin) -> AsyncIterator[Callable[..., Awaitable[Ask]]]:
    """Starts a site with these settings, of which it has found out these facts."""
    async with AsyncExitStack() as stack:

        async def start(facts: dict[str, str] | None = None, **settings: Any) -> Ask:
            app = build_site(admin, Server.model_validate(settings), facts or {})
            server = await stack.enter_async_context(TestServer(app))
            session = await stack.enter_async_context(ClientSession(cookie_jar=DummyCookieJar()))

            async def ask(method: str, path: str, **options: Any) -> ClientResponse:
                answer = await session.request(
                    method, server.make_url(path), allow_redirects=False, **options
                )
                await answer.read()
                return answer

            return ask

        yield start


@pytest.fixture
async def cookie(admin: Admin, owner: Actor) -> str:
    return (await admin.sessions.sign_in("ada@example.com", PASSWORD, "", ""))[1]


async def who(ask: Ask, method: str = "GET", **options: Any) -> Any:
    answer = await ask(method, "/api/v1/me", **options)
    body = await answer.json(content_type=None)
    return body["actor"] if answer.status == 200 else (answer.status, body["code"])


def session(value: str, name: str = "gateway_session") -> dict[str, str]:
    return {"Cookie": f"{name}={value}"}


async def test_who_asks_by_cookie_and_by_token(
    make_site: Callable[..., Awaitable[Ask]], admin: Admin, owner: Actor, cookie: str
) -> None:
    ask = await make_site()
    made = await admin.tokens.create(owner, {"name": "ci", "role": "admin", "expires_in": "never"})
    assert await who(ask) is None
    assert await who(ask, headers=session(cookie)) == "ada@example.com"
    assert await who(ask, headers=session(cookie, "__Host-gateway")) is None
    assert await who(ask, headers={"Authorization": f"bearer  {made.secret} "}) == "token:ci"
    assert await who(ask, headers={"Authorization": f"Basic {made.secret}"}) is None
    both = session(cookie) | {"Authorization": "Bearer gwa_wrong"}
    assert await who(ask, headers=both) is None, "a wrong token is not made good by a cookie"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, "ada@example.com"),
        ({"Sec-Fetch-Site": "none"}, "ada@example.com"),
        ({"Sec-Fetch-Site": "same-site"}, (403, "cross_site")),
        ({"Sec-Fetch-Site": "cross-site"}, (403, "cross_site")),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:8080"}, (403, "cross_site")),
        ({"Origin": "http://localhost:8080"}, "ada@example.com"),
        ({"Origin": "http://localhost:9090"}, (403, "cross_site")),
        ({"Origin": "http://evil.example"}, (403, "cross_site")),
        ({"Origin": "null"}, (403, "cross_site")),
        ({"Origin": "http://["}, (403, "cross_site")),
        ({"Origin": ""}, (403, "cross_site")),
        ({}, (403, "cross_site")),
    ],
)
async def test_another_sites_request_brings_no_session_in(
    make_site: Callable[..., Awaitable[Ask]],
    cookie: str,
    headers: dict[str, str],
    expected: object,
) -> None:
    ask = await make_site()
    sent = session(cookie) | {"Host": "localhost:8080"} | headers
    for method in ("POST", "PATCH", "DELETE", "PUT"):
        assert await who(ask, method, headers=sent) == expected


async def test_forgery_is_refused_before_sign_in_too_but_programs_are_let_through(
    make_site: Callable[..., Awaitable[Ask]], admin: Admin, owner: Actor
) -> None:
    ask = await make_site()
    assert await who(ask, "POST", headers={"Sec-Fetch-Site": "cross-site"}) == (403, "cross_site")
    assert await who(ask, "POST") is None
    made = await admin.tokens.create(owner, {"name": "ci", "role": "admin", "expires_in": "never"})
    headers = {"Authorization": f"Bearer {made.secret}", "Sec-Fetch-Site": "cross-site"}
    assert await who(ask, "POST", headers=headers) == "token:ci"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "", "a@localhost", "localhost/x"]
)
async def test_a_foreign_host_is_misdirected(make_site: Callable[..., Awaitable[Ask]], host: str) -> None:
    ask = await make_site()
    assert await who(ask, headers={"Host": host}) in ((421, "unknown_host"), (400, "bad_request"))
    page = await ask("GET", "/dashboard/sign-in", headers={"Host": "evil.example"})
    assert page.status == 421 and "allowed_hosts" in await page.text()


async def test_over_https_the_cookie_is_bound_to_the_host(
    make_site: Callable[..., Awaitable[Ask]], cookie: str
) -> None:
    ask = await make_site({"scheme": "https", **BEHIND}, allowed_hosts=["gateway.example"])
    host = {"Host": "gateway.example"}
    form = {"email": "ada@example.com", "password": PASSWORD}
    answer = await ask("POST", "/dashboard/sign-in", data=form, headers=host | OWN)
    given = answer.cookies["__Host-gateway"]
    assert (given["secure"], given["httponly"], given["path"], given["domain"]) == (True, True, "/", "")
    assert (given["samesite"], given["max-age"]) == ("Lax", str(7 * 86400))
    assert await who(ask, headers=host | session(given.value, "__Host-gateway")) == "ada@example.com"
    assert await who(ask, headers=host | session(cookie)) is None, "a cookie that others could have set"


async def test_a_public_url_says_that_people_come_by_https(
    make_site: Callable[..., Awaitable[Ask]], cookie: str
) -> None:
    ask = await make_site(BEHIND, public_url="https://gateway.example:8443")
    sent = session(cookie, "__Host-gateway")
    assert await who(ask, headers=sent | {"Host": "gateway.example:8443"}) == "ada@example.com"
    assert await who(ask, headers=sent | {"Host": "gateway.example"}) is None
    origin = {"Host": "gateway.example:8443", "Origin": "https://gateway.example:8443"}
    assert await who(ask, "POST", headers=sent | origin) == "ada@example.com"


@pytest.mark.parametrize(
    ("facts", "headers"),
    [
        (BEHIND, {"Host": "localhost:8080"}),
        (BEHIND, {"Host": "192.0.2.7:8080"}),
        ({"client_ip": ""}, {"Host": "localhost:8080"}),
        ({}, {"Host": "192.0.2.7:8080"}),
        ({}, {"Host": "localhost:8080", "X-Forwarded-For": "203.0.113.9"}),
        ({}, {"Host": "localhost:8080", "Forwarded": "for=203.0.113.9"}),
    ],
)
async def test_plain_http_beyond_this_machine_has_no_sessions(
    make_site: Callable[..., Awaitable[Ask]],
    admin: Admin,
    owner: Actor,
    cookie: str,
    facts: dict[str, str],
    headers: dict[str, str],
) -> None:
    ask = await make_site(facts, listen="0.0.0.0:8080")
    page = await ask("GET", "/dashboard/sign-in", headers=headers)
    text = await page.text()
    assert page.status == 403
    assert all(setting in text for setting in ("public_url", "tls", "trusted_proxies"))
    form = {"email": "ada@example.com", "password": PASSWORD}
    post = await ask("POST", "/dashboard/sign-in", data=form, headers=headers | OWN)
    assert post.status == 403 and not post.cookies
    for name in ("gateway_session", "__Host-gateway"):
        assert await who(ask, headers=headers | session(cookie, name)) is None
    made = await admin.tokens.create(owner, {"name": "ci", "role": "admin", "expires_in": "never"})
    assert await who(ask, headers=headers | {"Authorization": f"Bearer {made.secret}"}) == "token:ci"


async def test_a_published_port_on_this_machine_is_local_if_the_operator_says_so(
    make_site: Callable[..., Awaitable[Ask]], cookie: str
) -> None:
    ask = await make_site(
        {"client_ip": "172.17.0.1"}, listen="0.0.0.0:8080", public_url="http://localhost:8080"
    )
    assert await who(ask, headers=session(cookie) | {"Host": "localhost:8080"}) == "ada@example.com"
    elsewhere = await make_site({"client_ip": "172.17.0.1"}, public_url="http://gateway.example")
    assert await who(elsewhere, headers=session(cookie) | {"Host": "gateway.example"}) is None


async def test_refusals_are_problems_for_programs(make_site: Callable[..., Awaitable[Ask]]) -> None:
    answer = await (await make_site())("GET", "/api/v1/me", headers={"Host": "evil.example"})
    assert answer.content_type == "application/problem+json"
    body = await answer.json(content_type=None)
    assert (body["status"], body["code"], body["title"]) == (421, "unknown_host", "Unknown host")


async def test_a_store_that_does_not_answer_is_said_to_be_away(
    make_site: Callable[..., Awaitable[Ask]], store: Store, cookie: str
) -> None:
    ask = await make_site()
    await store.close()
    assert await who(ask, headers=session(cookie)) == (503, "store_unavailable")
    page = await ask("GET", "/dashboard/account", headers=session(cookie))
    assert page.status == 503 and "Traceback" not in await page.text()
