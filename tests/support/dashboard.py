"""The dashboard over a real embedded store, signed in as whoever a test says.

    async def test_it(dashboard):
        page = await dashboard.get("/configuration/api-keys")   # parsed: page.status, page.text, page.select(…)

`dashboard.actor` may be exchanged at any time; None is nobody.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from dashboard.app import mount
from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.services import Admin, build_admin
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.signing import SigningFile
from gateway_proxy.storage import Store, open_store
from tests.support.mcp_facts import McpFacts, server_facts

__all__ = ["OWNER", "Dashboard", "FakeView", "acting_as", "dashboard", "make_application", "open_dashboard"]

PREFIX = "/dashboard"
PEPPER = b"p" * 32
OWNER = Actor(
    name="ada@example.com",
    role=Role.OWNER,
    organization="default",
    member_id="mem_1",
    email="ada@example.com",
)


def acting_as(role: Role, email: str = "eve@example.com", organization: str = "default") -> Actor:
    """A signed-in member of this role."""
    return Actor(name=email, role=role, organization=organization, member_id="mem_2", email=email)


@dataclass
class Page:
    """An answer, read to its end."""

    response: ClientResponse
    text: str

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def location(self) -> str:
        return self.response.headers.get("Location", "")


@dataclass
class FakeView:
    """A `GatewayView` that says what a test wants to hear, or nothing."""

    silent: bool = False
    provider_names: list[str] = field(default_factory=lambda: ["openai", "anthropic"])
    servers: list[str] = field(default_factory=lambda: ["github"])
    reload_error: str | None = None
    listed: list[dict[str, Any]] = field(default_factory=list)
    counted: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: Any = None
    facts: McpFacts = field(default_factory=McpFacts)

    async def mcp_servers(self) -> list[dict[str, Any]]:
        self._speak()
        return [self.facts.mcp.get(name) or server_facts(name) for name in self.servers]

    async def changed_tool(self, server: str, tool: str) -> dict[str, str] | None:
        self._speak()
        return await self.facts.changed_tool(server, tool)

    async def approve_tool(self, server: str, tool: str, fingerprint: str, definition: str) -> None:
        self._speak()
        await self.facts.approve_tool(server, tool, fingerprint, definition)

    async def config(self) -> dict[str, Any]:
        self._speak()
        servers = [
            {"name": name, "url": f"https://{name}.example.com/mcp", "command": [], "price_per_call": "0.01"}
            for name in self.servers
        ]
        settings = {
            "server": {"listen": "127.0.0.1:8080", "workers": 1, "cors_origins": []},
            "providers": [{"name": "openai", "api_key": "***"}],
            "mcp": {"servers": servers},
            "gateway": {"organization": "default"},
        }
        return {
            "revision": 1,
            "digest": "d",
            "source": None,
            "reload_error": self.reload_error,
            "settings": settings,
        }

    async def providers(self) -> list[dict[str, Any]]:
        self._speak()
        return [
            {"name": name, "dialect": "openai", "base_url": "", "health": "up", "models": []}
            for name in self.provider_names
        ]

    async def models(self) -> list[dict[str, Any]]:
        self._speak()
        return self.listed

    async def explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        self._speak()
        self.asked = (key_id, question)
        verdicts = [
            {"rule": "status", "verdict": "allow", "code": "", "detail": "Active."},
            {"rule": "model", "verdict": "deny", "code": "model_not_found", "detail": "Not this model."},
        ]
        return {"allowed": False, "verdicts": verdicts}

    async def counters(self, key_id: str) -> dict[str, Any]:
        self._speak()
        unlimited = {"requests": None, "tokens": None, "parallel": None, "budget": None}
        return unlimited | self.counted.get(key_id, {})

    def _speak(self) -> None:
        if self.silent:
            raise ConnectionError("the gateway does not answer")


@dataclass
class Dashboard:
    """The running pages; what they do is in `admin` and `store`."""

    store: Store
    admin: Admin
    view: FakeView = field(default_factory=FakeView)
    client: Any = None
    actor: Actor | None = field(default=OWNER)

    async def get(self, path: str, **options: Any) -> Page:
        """GET below the prefix; redirects are not followed."""
        return await self._ask("GET", path, **options)

    async def post(self, path: str, form: Any = None, **options: Any) -> Page:
        """POST of a form below the prefix; redirects are not followed."""
        return await self._ask("POST", path, data=form, **options)

    async def _ask(self, method: str, path: str, **options: Any) -> Page:
        async with self.client.request(method, PREFIX + path, allow_redirects=False, **options) as response:
            return Page(response, await response.text(errors="replace"))


def make_application(site: Dashboard) -> web.Application:
    """What embeds the dashboard: a middleware that says who asks."""

    @web.middleware
    async def sign_in(request: web.Request, handler: Any) -> web.StreamResponse:
        request["actor"] = site.actor
        return await handler(request)

    application = web.Application(middlewares=[sign_in])
    mount(application, PREFIX, site.admin)
    return application


@asynccontextmanager
async def open_dashboard(folder: Path) -> AsyncIterator[Dashboard]:
    """The pages on a loopback port, over a fresh store in this folder."""
    store = await open_store(f"sqlite:{folder}/gateway.db", migrate=True)
    view = FakeView()
    site = Dashboard(store, build_admin(store, PEPPER, Clock(), view=view, signing=SigningFile(folder)), view)
    try:
        async with TestClient(TestServer(make_application(site))) as client:
            site.client = client
            yield site
    finally:
        await store.close()


@pytest.fixture
async def dashboard(tmp_path: Path) -> AsyncIterator[Dashboard]:
    async with open_dashboard(tmp_path) as site:
        yield site
