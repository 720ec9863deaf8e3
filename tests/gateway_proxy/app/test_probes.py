"""Probes: off unless asked for, two failures put a provider to rest, one answer wakes it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway_proxy.app import probes
from gateway_proxy.app.probes import Probes, is_alive
from gateway_proxy.app.runtimes import make_dialects
from gateway_proxy.config import Config, load_config
from gateway_proxy.core.clock import Clock
from gateway_proxy.proxy.links import ProviderLink
from gateway_proxy.routing.breaker import Breakers
from tests.support.waiting import until


class Upstream:
    """Answers every GET with `status`, and says what was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[str] = []
        self.seen = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        self.seen.set()
        return web.json_response({}, status=self.status)


@asynccontextmanager
async def running(
    tmp_path: Path, extra: str, dialect: str = "openai"
) -> AsyncIterator[tuple[Upstream, Config, dict[str, ProviderLink]]]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.answer)
    async with TestServer(app) as server:
        config = settings(tmp_path, server.port or 0, extra, dialect)
        link = ProviderLink(config.providers[0], make_dialects()[dialect])
        yield upstream, config, {"p": link}
        await link.close()


def settings(tmp_path: Path, port: int, extra: str, dialect: str = "openai") -> Config:
    path = tmp_path / "config.toml"
    path.write_text(
        f'[[providers]]\nname = "p"\ndialect = "{dialect}"\nbase_url = "http://127.0.0.1:{port}"\n{extra}\n'
    )
    return load_config(path)


@pytest.mark.parametrize(
    ("dialect", "extra", "asked"),
    [
        ("openai", "", "GET /models"),
        ("openai", 'probe = { path = "/ping?deep=1" }', "GET /ping?deep=1"),
        ("anthropic", "", "GET /v1/models?limit=1"),
        ("gemini", "", "GET /v1beta/models?pageSize=1"),
        ("azure", "", "GET /openai/v1/models"),
        ("azure", 'api_version = "2024-10-21"', "GET /openai/models?api-version=2024-10-21"),
    ],
)
async def test_each_dialect_is_asked_for_its_models(
    tmp_path: Path, dialect: str, extra: str, asked: str
) -> None:
    async with running(tmp_path, extra, dialect) as (upstream, config, links):
        assert await is_alive(config.providers[0], links["p"])
        assert upstream.asked == [asked]


@pytest.mark.parametrize(
    ("status", "alive"), [(401, True), (404, True), (429, True), (408, False), (503, False)]
)
async def test_what_counts_as_an_answer(tmp_path: Path, status: int, alive: bool) -> None:
    async with running(tmp_path, "") as (upstream, config, links):
        upstream.status = status
        assert await is_alive(config.providers[0], links["p"]) is alive


async def test_nobody_there_is_dead(tmp_path: Path) -> None:
    config = settings(tmp_path, 9, "")
    link = ProviderLink(config.providers[0], make_dialects()["openai"])
    assert not await is_alive(config.providers[0], link)
    await link.close()


async def test_a_provider_rests_and_wakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.random, "uniform", lambda low, high: 1.0)
    async with running(tmp_path, "probe = { interval = 0.01 }") as (upstream, config, links):
        breakers = Breakers(Clock())
        watch = Probes(breakers)
        upstream.status = 500
        watch.configure(config, links)
        await until(lambda: breakers.health("p") == "down")
        assert len(upstream.asked) >= 2
        upstream.status = 200
        await until(lambda: breakers.health("p") == "up")
        upstream.status = 500
        await until(lambda: breakers.health("p") == "down")
        watch.configure(settings(tmp_path, 9, ""), links)  # not wanted any more
        assert breakers.health("p") == "up"
        await watch.close()


async def test_off_by_default(tmp_path: Path) -> None:
    async with running(tmp_path, "") as (upstream, config, links):
        watch = Probes(Breakers(Clock()))
        watch.configure(config, links)
        await asyncio.sleep(0)
        await watch.close()
        assert upstream.asked == []
