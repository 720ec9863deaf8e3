"""Mounting reads and checks, and starts nothing."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway_proxy.app.mounting import MOUNTED, create_app, mount, mount_dashboard
from gateway_proxy.config import ConfigError, config_from_dict


def paths(app: web.Application) -> set[str]:
    return {resource.canonical for resource in app.router.resources()}


def test_nothing_is_started_or_written(tmp_path: Path) -> None:
    before = threading.active_count()
    config = config_from_dict({}, tmp_path)
    app = web.Application()
    mounted = mount(app, "/llm/", config)
    mount_dashboard(app, "/gateway", mounted)
    create_app(config)
    assert threading.active_count() == before and not list(tmp_path.iterdir())
    assert app[MOUNTED] is mounted and mounted.config is config and mounted.prefix == "/llm"
    assert paths(app) == {"/llm/{tail}", "/gateway", "/gateway/api/v1"}


def test_each_kind_of_settings(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[server]\nmax_body_bytes = 7\n")
    for config in (path, str(path), {"server": {"max_body_bytes": 7}}):
        assert mount(web.Application(), "/a", config).config.server.max_body_bytes == 7
    with pytest.raises(ConfigError, match="max_body_byte: unknown key"):
        mount(web.Application(), "/a", {"server": {"max_body_byte": 7}})


@pytest.mark.parametrize("prefix", ["llm", "/a b", "/{a}", "/a?b", "/a%20", "//a", "/ä", "/a#", "/a;b"])
def test_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(ValueError, match="is no prefix"):
        mount(web.Application(), prefix, {})


def test_the_root_is_a_prefix() -> None:
    for prefix in ("", "/"):
        app = web.Application()
        assert mount(app, prefix, {}).prefix == ""
        assert paths(app) == {"/{tail}"}


def test_the_dashboard_needs_a_gateway_and_places_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mount the gateway first"):
        mount_dashboard(web.Application(), "/gateway")
    app = web.Application()
    mount(app, "/llm", config_from_dict({}, tmp_path))
    for wrong in ({"prefix": "/"}, {"prefix": "/a", "api_prefix": "/admin"}):
        with pytest.raises(ValueError, match="needs a prefix"):
            mount_dashboard(app, **wrong)
    mount_dashboard(app, "/a", api_prefix="/b/api/v1")
    assert {"/a", "/b/api/v1"} <= paths(app)


def test_without_pages_there_is_the_api_alone(tmp_path: Path) -> None:
    app = create_app(config_from_dict({"dashboard": {"enabled": False}}, tmp_path))
    assert paths(app) == {"/{tail}", "/api/v1"}


async def test_a_dashboard_that_would_lead_elsewhere_is_refused(tmp_path: Path) -> None:
    inner, outer = web.Application(), web.Application()
    mounted: Any = mount(inner, "/llm", config_from_dict({}, tmp_path))
    mount_dashboard(inner, "/gateway", mounted)
    outer.add_subapp("/team", inner)
    runner = web.AppRunner(outer)
    with pytest.raises(RuntimeError, match="is served at /team/gateway"):
        await runner.setup()
    await runner.cleanup()
    await asyncio.sleep(0)
