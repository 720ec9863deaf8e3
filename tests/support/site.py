"""The dashboard behind its real door on loopback, over a real store: what a browser sees of signing in.

async def test_it(site):
    page = await site.post("/dashboard/sign-in", {"email": …, "password": …})
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from dashboard.app import mount
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.services import Admin, build_admin
from gateway_proxy.admin.web_auth import WEB_AUTH, WebAuth
from gateway_proxy.config.model import Server
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, open_store

__all__ = ["PASSWORD", "Answer", "Site", "site"]

PASSWORD = "correct horse battery staple"
PEPPER = b"pepper for the tests of the admin side"


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    text: str
    headers: Mapping[str, str]
    cookies: Any

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    def mistake(self, name: str) -> str:
        """What stands beside a field."""
        found = re.search(rf'id="{name}-error">([^<]*)<', self.text)
        return found[1] if found else ""


@dataclass
class Site:
    """The running site and a browser whose cookies it keeps."""

    store: Store
    admin: Admin
    clock: FakeClock
    url: URL = field(default_factory=URL)
    browser: Any = None

    async def get(self, path: str, **options: Any) -> Answer:
        """GET; redirects are not followed."""
        return await self.ask("GET", path, **options)

    async def post(self, path: str, form: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """POST of a form, as the browser sends it from one of our own pages."""
        headers = {"Sec-Fetch-Site": "same-origin"} | options.pop("headers", {})
        return await self.ask("POST", path, data=form, headers=headers, **options)

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        async with self.browser.request(
            method, self.url.join(URL(path)), allow_redirects=False, **options
        ) as answer:
            return Answer(answer.status, await answer.text(), answer.headers, answer.cookies)

    async def set_up(self) -> Answer:
        """Make Ada the first owner; the browser is signed in afterwards."""
        link = await self.admin.links.ensure_setup_link("default")
        assert link is not None
        form = {"name": "Ada", "email": "ada@example.com", "password": PASSWORD}
        return await self.post(link, form)


async def show_actor(request: web.Request) -> web.Response:
    """Stands for the admin API: who asks?"""
    actor = request["actor"]
    return web.json_response({"actor": actor and actor.name})


def build_site(admin: Admin, server: Server, facts: Mapping[str, str]) -> web.Application:
    """`facts` are what the site would find out of a request."""

    @web.middleware
    async def know(request: web.Request, handler: Any) -> web.StreamResponse:
        for name, value in facts.items():
            request[name] = value
        answer = await handler(request)
        assert isinstance(answer, web.StreamResponse)
        return answer

    auth = WebAuth(admin, server)
    app = web.Application(middlewares=[know, auth.middleware()])
    app[WEB_AUTH] = auth
    app.router.add_route("*", "/api/v1/me", show_actor)
    mount(app, "/dashboard", admin)
    return app


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    clock = FakeClock()
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    admin = build_admin(store, PEPPER, clock, passwords=Passwords(memory_kib=64))
    async with TestServer(build_site(admin, Server.model_validate({}), {})) as server:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            yield Site(store, admin, clock, server.make_url("/"), browser)
    await store.close()
