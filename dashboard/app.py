"""Builds the dashboard's pages under a prefix of an aiohttp application."""

from aiohttp import web

from gateway_proxy.admin.services import Admin


def mount(app: web.Application, prefix: str, admin: Admin) -> None:
    """Serve the dashboard below `prefix`. The services are the caller's, who also closes what is behind them."""
    pages = web.Application()
    pages["admin"] = admin
    app.add_subapp(prefix, pages)
