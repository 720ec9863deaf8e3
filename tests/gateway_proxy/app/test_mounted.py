"""The gateway's life hangs on the application's, and its prefix on where that one is."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway_proxy.app.mounting import mount
from gateway_proxy.config import config_from_dict
from gateway_proxy.core.tasks import running
from gateway_proxy.storage import StoreError
from tests.support.foreign import make_key, serve_app

SETTINGS = {"server": {"drain_seconds": 0}}


async def test_an_application_inside_another_one(tmp_path: Path) -> None:
    inner, outer = web.Application(), web.Application()
    mounted = mount(inner, "/llm", config_from_dict(SETTINGS, tmp_path))
    outer.add_subapp("/team", inner)
    async with serve_app(outer) as foreign, aiohttp.ClientSession() as session:
        headers = {"authorization": f"Bearer {await make_key(mounted)}"}
        async with session.get(f"{foreign.origin}/team/llm/v1/models", headers=headers) as answer:
            assert answer.status == 200
        async with session.get(f"{foreign.origin}/llm/v1/models", headers=headers) as answer:
            assert answer.status == 404
    assert running() == 0


async def test_it_can_be_started_again_and_follows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[server]\ndrain_seconds = 0\n")
    for _ in range(2):
        app = web.Application()
        mounted = mount(app, "/llm", path)
        async with serve_app(app):
            gateway = mounted.gateway
            applied = asyncio.Event()
            gateway.on_applied = applied.set
            await asyncio.sleep(0.1)  # until the folder is watched
            path.write_text(
                path.read_text() + "# changed\nmax_body_bytes = 1000\n" * ("max" not in path.read_text())
            )
            if _ == 0:
                async with asyncio.timeout(10):
                    await applied.wait()
                assert gateway.runtime.max_body_bytes == 1000
    with pytest.raises(RuntimeError, match="while the application does"):
        _ = mounted.gateway


async def test_a_start_that_fails_leaves_the_place_to_others(tmp_path: Path) -> None:
    (tmp_path / "gateway.db").write_text("no database at all, but long enough to be looked at")
    app = web.Application()
    mount(app, "/llm", config_from_dict(SETTINGS, tmp_path))
    with pytest.raises(StoreError):
        async with serve_app(app):
            pass
    (tmp_path / "gateway.db").unlink()
    app = web.Application()
    mount(app, "/llm", config_from_dict(SETTINGS, tmp_path))
    async with serve_app(app):
        pass


async def test_somebody_who_takes_the_connection_back_gets_it(tmp_path: Path) -> None:
    ended = asyncio.Event()

    @web.middleware
    async def hurry(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            async with asyncio.timeout(0.05):
                answer = await handler(request)
                assert isinstance(answer, web.StreamResponse)
                return answer
        except TimeoutError:
            return web.Response(status=504, text="too slow for us")

    app = web.Application(middlewares=[hurry])
    mounted = mount(app, "/llm", config_from_dict(SETTINGS, tmp_path))
    async with serve_app(app) as foreign, aiohttp.ClientSession() as session:

        async def hang(_: object) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        mounted._server.dispatch = hang  # type: ignore[union-attr, method-assign, assignment]
        async with session.get(f"{foreign.origin}/llm/v1/models") as answer:
            assert (answer.status, await answer.text()) == (504, "too slow for us")
        assert ended.is_set()
