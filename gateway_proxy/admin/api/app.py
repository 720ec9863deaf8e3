"""Builds `/api/v1` as an aiohttp application."""

from aiohttp import web

from gateway_proxy.admin.services import Admin


def mount(app: web.Application, admin: Admin) -> None:
    """Serve the admin API below `/api/v1`."""
    api = web.Application()
    api["admin"] = admin
    app.add_subapp("/api/v1", api)
