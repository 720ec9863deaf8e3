"""Client credentials against a real token endpoint, and a server that refuses old tokens."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway_proxy.config import Secret
from gateway_proxy.config.mcp import OAuth2
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp import oauth
from gateway_proxy.proxy.mcp.http import make_http
from gateway_proxy.proxy.mcp.http_link import HttpLink
from gateway_proxy.proxy.mcp.link import Peer
from gateway_proxy.proxy.mcp.oauth import OAuthSignIn

MODERN = Peer("2026-07-28")


class Login:
    """A token endpoint and the MCP server behind it: a token is good until `revoke`."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.senders: list[str | None] = []
        self.members: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        self.status = 200
        self.good = ""
        self.calls = 0
        application = web.Application()
        application.router.add_post("/token", self._give)
        application.router.add_post("/mcp", self._call)
        self.server = TestServer(application)

    async def _give(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        self.senders.append(request.headers.get("Authorization"))
        self.good = f"token-{len(self.forms)}"
        body = (
            {"access_token": self.good, **self.members} if self.status == 200 else {"error": "invalid_client"}
        )
        return web.json_response(body, status=self.status)

    async def _call(self, request: web.Request) -> web.Response:
        self.calls += 1
        if request.headers.get("Authorization") != f"Bearer {self.good}":
            return web.Response(status=401)
        value = await request.json()
        return web.json_response({"jsonrpc": "2.0", "id": value["id"], "result": {}})


@pytest.fixture
async def login() -> AsyncIterator[Login]:
    login = Login()
    await login.server.start_server()
    yield login
    await login.server.close()


SignIn = Callable[..., OAuthSignIn]


@pytest.fixture
async def sign_in(login: Login) -> AsyncIterator[SignIn]:
    made: list[OAuthSignIn] = []

    def make(**members: Any) -> OAuthSignIn:
        url = str(login.server.make_url("/token"))
        settings = OAuth2.model_construct(
            **{"token_url": url, "client_id": "g:1", "client_secret": Secret("hush hush"), "scopes": ("a", "b"),
               "send_secret": "basic", **members}
        )  # fmt: skip
        http = partial(make_http, connect_seconds=2, silence_seconds=2, allow_private=True)
        made.append(OAuthSignIn(settings, "https://mcp.test/mcp", http))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def test_one_token_for_all_and_what_is_sent_for_it(login: Login, sign_in: SignIn) -> None:
    signed = sign_in()
    headers = await asyncio.gather(*(signed.headers() for _ in range(5)))
    assert headers == [{"Authorization": "Bearer token-1"}] * 5
    assert login.forms == [
        {"grant_type": "client_credentials", "resource": "https://mcp.test/mcp", "scope": "a b"}
    ]
    assert login.senders == ["Basic " + base64.b64encode(b"g%3A1:hush+hush").decode()]
    assert "hush" not in repr(vars(signed)) and "token-1" not in repr(vars(signed))


async def test_the_secret_in_the_body(login: Login, sign_in: SignIn) -> None:
    await sign_in(send_secret="post", scopes=()).headers()
    assert login.senders == [None]
    assert login.forms[0]["client_secret"] == "hush hush" and "scope" not in login.forms[0]


async def test_it_is_fetched_again_before_it_expires(
    login: Login, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    login.members["expires_in"] = 31
    monkeypatch.setattr(oauth, "MARGIN_SECONDS", 30.99)
    signed = sign_in()
    await signed.headers()
    signed._expires_at -= 31
    assert await signed.headers() == {"Authorization": "Bearer token-2"}


async def test_a_token_that_the_server_refuses_is_replaced_once(login: Login, sign_in: SignIn) -> None:
    link = HttpLink(str(login.server.make_url("/mcp")), sign_in(), allow_private=True)
    assert (await link.ask(MODERN, "ping")).outcome == {"result": {}}
    login.good = "another"
    assert (await link.ask(MODERN, "ping")).outcome == {"result": {}}
    assert len(login.forms) == 2 and login.calls == 3
    await link.close()


async def test_a_server_that_refuses_every_token(login: Login, sign_in: SignIn) -> None:
    login.members["access_token"] = "refused"
    link = HttpLink(str(login.server.make_url("/mcp")), sign_in(), allow_private=True)
    with pytest.raises(UpstreamFailed) as caught:
        await link.ask(MODERN, "ping")
    assert caught.value.code == "upstream_auth_failed" and login.calls == 2
    await link.close()


@pytest.mark.parametrize(
    "change",
    [
        {"status": 401},
        {"members": {"access_token": None}},
        {"members": {"access_token": "a b"}},
        {"members": {"token_type": "mac"}},
    ],
)
async def test_no_token_is_told_without_the_secret(
    login: Login, sign_in: SignIn, change: dict[str, Any]
) -> None:
    for name, value in change.items():
        setattr(login, name, value)
    with pytest.raises(UpstreamFailed) as caught:
        await sign_in().headers()
    assert caught.value.code == "upstream_auth_failed" and caught.value.detail
    assert "hush" not in caught.value.detail + caught.value.public


async def test_a_token_endpoint_that_is_not_there(sign_in: SignIn) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        await sign_in(token_url="http://127.0.0.1:1/token").headers()
    assert "does not answer" in caught.value.detail
