"""A gateway inside somebody else's aiohttp application: the same answers below its prefix, and the same ends."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import dashboard
import gateway_proxy
from tests.support.client import Client, chat_body, leave_after
from tests.support.fake_provider import FakeProvider
from tests.support.foreign import make_key, serve_app, write_settings
from tests.support.gateway import provider_toml
from tests.support.money import model_toml
from tests.support.raw import make_request, send
from tests.support.sign_in import make_session, make_token
from tests.support.waiting import until


def tables(provider: FakeProvider) -> str:
    return (
        provider_toml(provider.base_url)
        + model_toml("chat")
        + model_toml("cancel", extra='on_disconnect = "cancel"')
    )


NOTED = web.ResponseKey("noted", bool)


@web.middleware
async def meddle(request: web.Request, handler: Any) -> web.StreamResponse:
    """What middlewares of an application do: read the body, note things, add to the answer."""
    if "read-first" in request.headers:
        await request.read()
    request["seen"] = True
    answer = await handler(request)
    assert isinstance(answer, web.StreamResponse)
    if not answer.prepared:
        answer[NOTED] = True
        answer.headers["x-from-middleware"] = str(answer.status)
    return answer


async def add_header(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers["x-from-hook"] = "yes"


async def say_hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def make_app(config: Any, prefix: str = "/llm") -> tuple[web.Application, gateway_proxy.MountedGateway]:
    app = web.Application(middlewares=[meddle])
    app.on_response_prepare.append(add_header)
    mounted = gateway_proxy.mount(app, prefix, config)
    app.router.add_get("/llm/about", say_hello)
    app.router.add_get("/", say_hello)
    return app, mounted


async def test_requests_below_a_prefix(
    tmp_path: Path, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aiohttp.access")
    app, mounted = make_app(str(write_settings(tmp_path, tables(provider))))
    async with serve_app(app) as foreign:
        secret = await make_key(mounted, requests_per_minute=1000)
        async with Client(f"{foreign.origin}/llm", secret) as client:
            whole = await client.send(chat_body())
            stream = await client.send(chat_body("tokens=5", stream=True))
            wrong = await client.send(chat_body(model="nobody"))
            nowhere = await client.send({}, "/v2/chat")
        assert whole.status == 200 and whole.json()["object"] == "chat.completion"
        assert (whole.headers["x-from-hook"], whole.headers["x-from-middleware"]) == ("yes", "200")
        assert whole.headers["x-ratelimit-limit-requests"] == "1000"
        assert stream.finished and stream.headers["x-from-hook"] == "yes"
        assert (wrong.status, wrong.code) == (404, "model_not_found")
        assert (nowhere.status, nowhere.code) == (404, "route_not_found")

        def ask(line: bytes, **members: Any) -> Any:
            return asyncio.to_thread(send, foreign.port, make_request(secret, line=line, **members))

        own = await ask(b"GET /llm/about HTTP/1.1", framing=b"", body=b"")
        assert (own.status, own.body) == (200, b"hello")
        probe = await ask(b"GET /llm/readyz HTTP/1.1", framing=b"", body=b"")
        assert json.loads(probe.body)["status"] == "ready"
        models = await ask(b"GET /llm/v1/models HTTP/1.1", framing=b"", body=b"")
        assert {model["id"] for model in json.loads(models.body)["data"]} >= {"chat", "cancel"}
        post = b"POST /llm/v1/chat/completions HTTP/1.1"
        assert (await ask(post, headers=b"read-first: yes\r\n")).status == 200
        assert (await ask(post, headers=b"Expect: 100-continue\r\n")).status in (100, 200)
        for odd in (b"/l%6Cm/v1/chat/completions", b"/llm//v1/chat/completions", b"/llm/v1/../v1/models"):
            answer = await ask(b"POST " + odd + b" HTTP/1.1")
            assert (answer.status, answer.code) in ((400, "invalid_target"), (404, "")), odd
        await mounted.gateway.writer.flush()
        paths = {row[0] for row in await mounted.gateway.store.db.fetch("SELECT path FROM request_log")}
        assert "/v1/chat/completions" in paths and not any(path.startswith("/llm") for path in paths)
    with pytest.raises(RuntimeError):
        _ = mounted.gateway
    served = [record.message for record in caplog.records if record.name == "aiohttp.access"]
    assert f'"POST /llm/v1/chat/completions HTTP/1.1" 200 {len(whole.body)} ' in served[0]


@pytest.mark.parametrize("cancels", [False, True], ids=["usual", "handlers are cancelled"])
async def test_clients_that_leave(tmp_path: Path, provider: FakeProvider, cancels: bool) -> None:
    app, mounted = make_app(write_settings(tmp_path, tables(provider)))
    async with serve_app(app, handler_cancellation=cancels) as foreign:
        secret = await make_key(mounted, budget_usd="10")
        path = "/llm/v1/chat/completions"
        before = len(provider.stats()["closed_by_client"])
        slow = "tokens=30 delay_ms=20"
        await leave_after(
            foreign.port, secret, chat_body(slow, model="cancel", stream=True, max_tokens=40), 900, path=path
        )
        await until(lambda: len(provider.stats()["closed_by_client"]) > before)
        await leave_after(foreign.port, secret, chat_body(slow, stream=True, max_tokens=40), 900, path=path)
        await until(lambda: not mounted.gateway.plane.sweeper.runs)
        await mounted.gateway.writer.flush()
        rows = await mounted.gateway.store.db.fetch(
            "SELECT model_requested, usage_source, outcome FROM ledger ORDER BY admitted_at"
        )
    assert [tuple(row) for row in rows] == [
        ("cancel", "estimated", "client_gone"),
        ("chat", "provider", "completed"),  # read to its end, and billed as the provider bills
    ]


async def test_the_end_of_the_application_is_that_of_its_streams(
    tmp_path: Path, provider: FakeProvider
) -> None:
    app, mounted = make_app(write_settings(tmp_path, tables(provider), server="drain_seconds = 0.2"))
    async with serve_app(app) as foreign:
        secret = await make_key(mounted)
        async with Client(f"{foreign.origin}/llm", secret) as client:
            slow, quick = (
                asyncio.get_running_loop().create_task(client.send(chat_body(order, stream=True)))
                for order in ("tokens=100 delay_ms=50", "tokens=2")
            )
            await until(lambda: bool(mounted.gateway.plane.sweeper.runs))
            await quick
            began = asyncio.get_running_loop().time()
            await foreign.runner.cleanup()
            assert asyncio.get_running_loop().time() - began < 5
            answers = [await slow, await quick]
    assert [answer.finished for answer in answers] == [False, True]
    assert b'"error"' in answers[0].body and not answers[0].error


async def test_a_dashboard_in_the_same_application(tmp_path: Path, provider: FakeProvider) -> None:
    path = write_settings(tmp_path, tables(provider))
    app, mounted = make_app(path)
    dashboard.mount(app, "/gateway", mounted)
    async with serve_app(app) as foreign, aiohttp.ClientSession(foreign.origin) as session:
        link = (tmp_path / "gateway-data" / "setup-link").read_text().strip()
        assert link.startswith("/gateway/setup/")
        async with session.get(link) as page:
            assert page.status == 200 and "default-src 'none'" in page.headers["Content-Security-Policy"]
            assert 'href="/gateway/' in await page.text()
        async with session.get("/gateway", allow_redirects=False) as page:
            assert (page.status, page.headers["Location"]) == (303, "/gateway/sign-in?next=%2Fgateway")
        async with session.get("/gateway", headers={"Host": "evil.example"}) as page:
            assert page.status == 421
        async with session.get("/gateway/api/v1/keys") as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {await make_token(path, 'admin', 'default')}"}
        async with session.get("/gateway/api/v1/openapi.json", headers=headers) as answer:
            assert (await answer.json())["servers"] == [{"url": "/gateway/api/v1"}]
        async with session.post(
            "/gateway/api/v1/keys", json={"name": "made here"}, headers=headers
        ) as answer:
            assert answer.status == 201
            secret = (await answer.json())["secret"]
        async with Client(f"{foreign.origin}/llm", secret) as client:
            assert (await client.send(chat_body())).status == 200
        async with session.get("/gateway/api/v1/config", headers=headers) as answer:
            assert (await answer.json())["revision"] == 1
        async with session.get("/") as page:
            assert await page.text() == "hello"
        cookie = await make_session(path, "ada@example.com", "owner", "default")
        for name in ("", "/playground"):
            async with session.get(f"/gateway{name}", cookies={"gateway_session": cookie}) as page:
                assert page.status == 200 and f"{foreign.origin}/llm/v1" in await page.text()


async def test_the_whole_product_as_an_application(tmp_path: Path, provider: FakeProvider) -> None:
    settings = {
        "storage": {"url": "sqlite:gateway.db"},
        "server": {"drain_seconds": 0},
        "providers": [
            {"name": "fake", "base_url": provider.base_url, "models": ["m"], "api_key": "file:provider.key"}
        ],
    }
    write_settings(tmp_path, "")
    app = gateway_proxy.create_app(gateway_proxy.config_from_dict(settings, tmp_path))
    async with serve_app(app) as foreign, aiohttp.ClientSession(foreign.origin) as session:
        async with session.get("/", allow_redirects=False) as page:
            assert page.headers["Location"] == "/dashboard"
        for path, status in {
            "/dashboard/sign-in": 200,
            "/api/v1/keys": 401,
            "/v1/models": 401,
            "/nowhere": 404,
        }.items():
            async with session.get(path) as answer:
                assert answer.status == status, path
        async with session.get("/healthz") as answer:
            assert await answer.json() == {"status": "ok"}


async def test_a_second_gateway_is_refused(tmp_path: Path) -> None:
    config = write_settings(tmp_path, "")
    app, _ = make_app(config)
    with pytest.raises(ValueError, match="a gateway already"):
        gateway_proxy.mount(app, "/other", config)
    other, _ = make_app({"storage": {"url": f"sqlite:{tmp_path}/o.db", "data_dir": str(tmp_path / "o")}})
    async with serve_app(app):
        with pytest.raises(RuntimeError, match="runs in this event loop already"):
            async with serve_app(other):
                pass
