"""The admin services of a mounted gateway follow its settings, and are refused while it does not run."""

from pathlib import Path

import pytest
from aiohttp import web

from gateway_proxy.admin.problem import Unavailable
from gateway_proxy.app.mounted_site import LiveAdmin
from gateway_proxy.app.mounting import mount
from gateway_proxy.config import config_from_dict
from tests.support.foreign import serve_app


async def test_services_follow_the_settings(tmp_path: Path) -> None:
    app = web.Application()
    settings = {"server": {"drain_seconds": 0, "public_url": "https://a.example"}}
    mounted = mount(app, "/llm", config_from_dict(settings, tmp_path))
    live = LiveAdmin(mounted, "/gateway")
    with pytest.raises(Unavailable, match="while the application does"):
        _ = live.keys
    async with serve_app(app):
        first = live.current
        assert live.current is first and live.keys is first.keys
        assert live.links.url("invite", "x") == "https://a.example/gateway/invite/x"
        assert (live.data_path, live.find_data_origin("a.example")) == ("/llm", "")
        await live.offer_setup()
        link = (tmp_path / "gateway-data" / "setup-link").read_text()
        assert link.startswith("https://a.example/gateway/setup/")
        await mounted.gateway.apply(config_from_dict({"server": {"drain_seconds": 0}}, tmp_path))
        assert live.current is not first and live.links.url("invite", "x") == "/gateway/invite/x"
