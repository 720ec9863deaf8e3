"""The gateway inside an aiohttp application of your own: python examples/mounted.py config.toml

Then clients use http://127.0.0.1:8090/llm/v1 as their base URL, with keys made by `gateway-proxy keys create -c config.toml`.
"""

import sys

from aiohttp import web

import gateway_proxy


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="This application has a gateway below /llm.\n")


def make_app(config: str) -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    gateway_proxy.mount(app, "/llm", config)
    return app


if __name__ == "__main__":
    web.run_app(make_app(sys.argv[1]), host="127.0.0.1", port=8090)
