"""The admin services over a store of their own, and its HTTP face with actors to call it as."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.api.app import mount
from gateway_proxy.admin.api.table import find_operation
from gateway_proxy.admin.gateway_view import GatewayView
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.services import Admin, build_admin
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Rates, Usage
from gateway_proxy.keys.service import Caller, KeyService
from gateway_proxy.keys.signing import SigningFile
from gateway_proxy.storage import Store, open_store
from tests.support.mcp_facts import McpFacts, changed_tool, server_facts, tool_facts

PEPPER = b"a pepper for tests, 32 bytes long"
HOME, FOREIGN = "default", "elsewhere"
PEOPLE = {
    Role.OWNER: "olga@example.com",
    Role.ADMIN: "ada@example.com",
    Role.MEMBER: "max@example.com",
    Role.VIEWER: "vera@example.com",
}
_ACTOR = "X-Test-Actor"


def actor_of(role: Role, organization: str | None = HOME, *, via: str = "session") -> Actor:
    """The member of this role, or a token that belongs to them."""
    email = PEOPLE[role]
    name = email if via == "session" else f"token:{role.value}"
    return Actor(
        name=name, role=role, organization=organization, member_id=f"mem_{role.value}", email=email,
        credential_id=f"{via}_{role.value}", via=via,
    )  # fmt: skip


def as_actor(actor: Actor | None) -> dict[str, str]:
    """The header that makes a call theirs."""
    if actor is None:
        return {}
    members = {name: getattr(actor, name) for name in Actor.__slots__}
    return {_ACTOR: base64.b64encode(json.dumps(members).encode()).decode()}


@web.middleware
async def _believe_header(request: web.Request, handler: Any) -> web.StreamResponse:
    if header := request.headers.get(_ACTOR):
        members = json.loads(base64.b64decode(header))
        request["actor"] = Actor(**(members | {"role": Role(members["role"])}))
    return await handler(request)


def build_app(admin: Admin) -> web.Application:
    """The API behind a middleware that believes `as_actor`."""
    app = web.Application(middlewares=[_believe_header])
    mount(app, admin)
    return app


def build_token_app(admin: Admin, token: str, role: Role) -> web.Application:
    """The API behind a middleware that knows one token, of no member."""

    @web.middleware
    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") == f"Bearer {token}":
            actor = actor_of(role, via="token")
            request["actor"] = replace(actor, email="", member_id="")
        return await handler(request)

    app = web.Application(middlewares=[check])
    mount(app, admin)
    return app


@asynccontextmanager
async def open_admin(
    folder: Path, clock: Clock, view: GatewayView | None = None
) -> AsyncIterator[tuple[Admin, Store]]:
    """Services over a fresh store in which all of `PEOPLE` are members."""
    store = await open_store(f"sqlite:{folder}/gateway.db", migrate=True, clock=clock)
    try:
        for organization in (HOME, FOREIGN):
            await store.registry.ensure_organization(organization)
            for role, email in PEOPLE.items():
                await store.registry.add_member(organization, email, role=role.value)
        passwords, signing = Passwords(memory_kib=64), SigningFile(folder)
        yield build_admin(store, PEPPER, clock, passwords=passwords, view=view, signing=signing), store
    finally:
        await store.close()


class Api:
    """Calls the API over a real socket and checks what every answer must have."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client

    async def call(
        self, method: str, path: str, actor: Actor | None, body: Any = None, **options: Any
    ) -> tuple[int, Any, Any]:
        """(status, parsed body or None, headers)."""
        headers = as_actor(actor) | options.pop("headers", {})
        if body is not None:
            options["json"] = body
        async with self.client.request(method, f"/api/v1{path}", headers=headers, **options) as answer:
            text = await answer.text()
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Traceback" not in text
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
                problem = json.loads(text)
                assert list(problem) == ["type", "title", "status", "code", "detail", "errors"]
                assert problem["status"] == answer.status
                assert problem["type"] == f"urn:gateway-proxy:problem:{problem['code']}"
                assert problem["detail"]
            elif found := find_operation(method, path.partition("?")[0]):
                operation, _ = found
                assert answer.status == operation.status
                if operation.answer is None:
                    assert not text
                else:
                    operation.answer.model_validate_json(text, by_name=False)
            return answer.status, json.loads(text) if text else None, answer.headers


@asynccontextmanager
async def serve_api(admin: Admin) -> AsyncIterator[Api]:
    """The API on a port of its own."""
    async with TestClient(TestServer(build_app(admin))) as client:
        yield Api(client)


class FakeView(McpFacts):
    """A gateway that answers what stands here, or nothing at all."""

    def __init__(self) -> None:
        super().__init__(
            server_facts("github", tool_facts("search"), changed_tool("create")),
            server_facts("local", transport="stdio"),
        )
        self.answers = True
        self.settings: dict[str, Any] = {"gateway": {"organization": HOME}, "mcp": {"servers": [
            {"name": "github", "url": "https://mcp.example.com/mcp", "command": [], "price_per_call": "0.5"},
            {"name": "local", "url": None, "command": ["npx", "-y", "server"], "price_per_call": "0"},
        ]}}  # fmt: skip

    async def config(self) -> dict[str, Any]:
        self._ask()
        return {
            "revision": 3,
            "digest": "f00d",
            "source": "config.toml",
            "reload_error": None,
            "settings": self.settings,
        }

    async def mcp_servers(self) -> list[dict[str, Any]]:
        self._ask()
        return await super().mcp_servers()

    async def providers(self) -> list[dict[str, Any]]:
        self._ask()
        return [
            {"name": name, "dialect": "openai", "base_url": f"https://{name}.example.com/v1", "health": "up", "models": []}
            for name in ("openai", "Zeta", "alpha")
        ]  # fmt: skip

    async def models(self) -> list[dict[str, Any]]:
        self._ask()
        target = {"provider": "openai", "model": "gpt-4o", "weight": 1}
        return [
            {"name": "gpt-4o", "declared": True, "targets": [target], "price": {"input": "2.50"}, "price_source": "settings"},
            {"name": "free-model", "declared": False, "targets": [target], "price": None, "price_source": None},
        ]  # fmt: skip

    async def explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        self._ask()
        self.asked = (key_id, question)
        verdicts = [
            {"rule": "status", "verdict": "allow", "code": "", "detail": "Active."},
            {"rule": "model", "verdict": "deny", "code": "model_not_found", "detail": "Not this model."},
        ]
        return {"allowed": False, "verdicts": verdicts}

    async def counters(self, key_id: str) -> dict[str, Any]:
        self._ask()
        return {"requests": None, "tokens": None, "parallel": None, "budget": None}

    def _ask(self) -> None:
        if not self.answers:
            raise ConnectionError


def key_id(number: int) -> str:
    return f"key_{number:026d}"


def request_id(number: int) -> str:
    return f"req_{number:026d}"


async def fill_books(store: Store, clock: Clock, first: int = 0) -> None:
    """Five requests of 0.25 USD: three of the owner's key, one of the member's, one in another organization."""
    scopes = {
        0: ("alpha", HOME, Role.OWNER),
        2: ("mine", HOME, Role.MEMBER),
        4: ("theirs", FOREIGN, Role.OWNER),
    }
    service = KeyService(store.keys, clock, PEPPER)
    for number, (name, organization, role) in scopes.items():
        if first == 0:
            document = {
                "name": name,
                "owner": PEOPLE[role],
                "metadata": {"team": "blue"} if number == 0 else {},
            }
            caller = Caller("tests", organization)
            await service.create(document, caller, organization=organization, key_id=key_id(number))
    logs, ledger = [], []
    for number in range(5):
        key = number if number in scopes else 0
        name, organization, role = scopes[key]
        shared: dict[str, Any] = {
            "request_id": request_id(first + number), "gateway_id": "gtw_1", "organization": organization,
            "key_id": key_id(key), "owner": PEOPLE[role], "provider": "openai", "operation": "chat",
        }  # fmt: skip
        at = clock.now_ms() - 86_400_000 * (5 - number) + first
        failed = number == 3
        logs.append(
            LogRow(
                **shared, at=at, key_name=name, metadata_json='{"team":"blue"}' if key == 0 else "{}",
                path="/v1/chat/completions", model=("gpt-4o", "claude")[number % 2], status=500 if failed else 200,
                error_code="upstream_broken" if failed else "", outcome="completed", admitted=True, attempts=1,
                input_tokens=100, output_tokens=10, cost_nanos=250_000_000, latency_ms=20,
            )
        )  # fmt: skip
        ledger.append(
            LedgerRow(
                **shared, attempt=1, model_requested="gpt-4o", model_sent="gpt-4o", admitted_at=at, settled_at=at + 20,
                charged_nanos=250_000_000, reserved_nanos=250_000_000, usage_source="provider", outcome="completed",
                rates=Rates(input=2_500_000, source="tests", version="1"), usage=Usage(input=100, output=10),
            )
        )  # fmt: skip
    await store.ledger.append("gtw_1", Batch(ledger=ledger, logs=logs))
