"""The admin application knows its client by the gateway's word, and does not tell what it is made of."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway_proxy.app import site
from gateway_proxy.app.site import build_site
from gateway_proxy.config import config_from_dict
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import open_store


async def build(folder: Path, *, dashboard: bool) -> list[str]:
    store = await open_store(f"sqlite:{folder / 'gateway.db'}", migrate=True)
    config = config_from_dict({"dashboard": {"enabled": dashboard}}, folder)
    view: Any = None
    app = build_site(config, store, b"a pepper of tests", Clock(), view)
    await store.close()
    return [resource.canonical for resource in app.router.resources()]


async def test_the_dashboard_can_be_left_out(tmp_path: Path) -> None:
    assert "/api/v1" in await build(tmp_path, dashboard=True)
    assert "/dashboard" in await build(tmp_path, dashboard=True)
    assert "/dashboard" not in await build(tmp_path, dashboard=False)


async def test_facts_come_from_the_gateway() -> None:
    async def show(request: web.Request) -> web.Response:
        return web.Response(text=f"{request['client_ip']} {request['scheme']}")

    told = make_mocked_request("GET", "/", {"x-gateway-client-ip": "8.8.8.8", "x-gateway-scheme": "https"})
    answer = await site._take_facts(told, show)
    assert isinstance(answer, web.Response) and answer.text == "8.8.8.8 https"
    answer = await site._take_facts(make_mocked_request("GET", "/"), show)
    assert isinstance(answer, web.Response) and answer.text == " http"
    await asyncio.sleep(0)


async def test_versions_are_not_told() -> None:
    response = web.Response()
    await site._sign(make_mocked_request("GET", "/"), response)
    assert response.headers["Server"] == "gateway-proxy"
