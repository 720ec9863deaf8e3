"""Builds the dashboard's pages under a prefix of an aiohttp application.

Who asks is decided by a middleware of the embedding application, which sets `request["actor"]`; a page that is not
marked `frame.public` sends visitors without one to the sign-in page.
"""

import asyncio
from pathlib import Path

import aiohttp_jinja2
import jinja2
import jinja2.bccache
from aiohttp import web

from dashboard import assets, errors, frame, guard, theme
from dashboard.filters import FILTERS
from dashboard.views import (
    account,
    audit,
    gateways,
    key_acts,
    key_explain,
    key_forms,
    key_tokens,
    keys,
    logs,
    mcp,
    mcp_log,
    members,
    notifications,
    overview,
    playground,
    settings,
    signin,
    tokens,
    usage,
)
from gateway_proxy.admin.services import Admin

_HERE = Path(__file__).parent
MAX_FORM_BYTES = 1024 * 1024
# A module of pages names its routes; a page appears in the navigation when its route is here.
_PAGES = (
    theme,
    signin,
    account,
    overview,
    keys,
    key_forms,
    key_acts,
    key_explain,
    key_tokens,
    mcp,
    mcp_log,
    logs,
    usage,
    gateways,
    members,
    audit,
    settings,
    notifications,
    tokens,
    playground,
)


class _Compiled(jinja2.BytecodeCache):
    """Templates compiled once in a process, however many applications show them."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()


def mount(app: web.Application, prefix: str, admin: Admin) -> None:
    """Serve the dashboard below `prefix`. The services are the caller's, who also closes what is behind them."""
    app.add_subapp(prefix, build_pages(prefix, admin))


def build_pages(prefix: str, admin: Admin) -> web.Application:
    """The dashboard as an application to be added to another one below `prefix`."""
    pages = web.Application(
        middlewares=[errors.show_errors, guard.require_actor], client_max_size=MAX_FORM_BYTES
    )
    pages.on_response_prepare.append(guard.add_headers)
    pages[frame.ADMIN] = admin
    pages[frame.PREFIX] = prefix
    pages[frame.CLOSING] = asyncio.Event()
    pages.on_shutdown.append(_end_streams)
    pages[assets.ASSETS] = static = assets.Assets(_HERE / "static", prefix)
    environment = aiohttp_jinja2.setup(
        pages,
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        bytecode_cache=_compiled,
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        filters=FILTERS,
        default_helpers=False,
    )
    environment.globals["asset"] = static.url
    for module in (*_PAGES, assets):
        pages.add_routes(module.ROUTES)
    pages[frame.NAVIGATION] = frame.build_navigation(pages.router)
    return pages


async def _end_streams(pages: web.Application) -> None:
    pages[frame.CLOSING].set()
