"""The gateway, its dashboard and its admin API inside an aiohttp application: python examples/mounted_with_dashboard.py config.toml

The first start writes the link for the dashboard's first owner to `setup-link` in the settings' data_dir.
"""

import sys

from aiohttp import web

import dashboard
import gateway_proxy


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="The gateway is below /llm, its dashboard at /gateway.\n")


def make_app(config: str) -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    gateway = gateway_proxy.mount(app, "/llm", config)
    dashboard.mount(app, "/gateway", gateway)  # and the admin API at /gateway/api/v1
    return app


if __name__ == "__main__":
    web.run_app(make_app(sys.argv[1]), host="127.0.0.1", port=8090)
