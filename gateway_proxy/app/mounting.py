"""The functions by which other people's programs take the gateway in; exported by `gateway_proxy` and `dashboard`.

They read the settings and add routes; nothing runs before the application starts.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway_proxy.app.mounted import TAIL, MountedGateway, expect_later
from gateway_proxy.config import Config, config_from_dict, load_config

MOUNTED = web.AppKey("gateway_proxy", MountedGateway)
Settings = str | PathLike[str] | Mapping[str, Any] | Config


def mount(app: web.Application, prefix: str, config: Settings) -> MountedGateway:
    """Serve the data plane below `prefix` ("" or "/" = at the root): `/v1/…` and the other APIs, `/healthz`, `/readyz`.

    `config` is the path of a file, which is watched for changes, a dict shaped like one, or a `Config`. Fixed routes
    of the application's own below the prefix go first, and such with variables if they were added before. The gateway opens with the application and drains with its shutdown.

    Raises ConfigError with every mistake; ValueError for a prefix that is none, and for a second gateway. What the
    application's startup raises then: StoreError, PepperError, ConfigError for a plugin.
    """
    prefix = _check_prefix(prefix)
    if MOUNTED in app:
        raise ValueError("this application has a gateway already; give that one the providers of both")
    mounted = MountedGateway(_read_settings(config))
    mounted.prefix = prefix
    app[MOUNTED] = mounted
    app.cleanup_ctx.append(mounted.live)
    app.on_shutdown.append(mounted.drain)
    app.router.add_route("*", prefix + TAIL, mounted.handle, expect_handler=expect_later)
    return mounted


def create_app(config: Settings) -> web.Application:
    """An application of all that `serve` serves, dashboard and admin API in the same process. Raises ConfigError."""
    from gateway_proxy.app.mounted_site import add_site

    app = web.Application()
    mounted = mount(app, "", config)
    add_site(app, "/dashboard", "/api/v1", mounted)
    if mounted.config.dashboard.enabled:
        app.router.add_get("/", _go_to_dashboard)
    return app


def mount_dashboard(
    app: web.Application, prefix: str, gateway: MountedGateway | None = None, *, api_prefix: str | None = None
) -> None:
    """Serve the dashboard at `prefix` and the admin API below `api_prefix`, which is `prefix` + `/api/v1` if not given.

    `gateway` is what `gateway_proxy.mount` returned; None: the one in this application. Into the outermost application
    only. Raises ValueError.
    """
    from gateway_proxy.app.mounted_site import add_site

    prefix = _check_prefix(prefix)
    api_prefix = f"{prefix}/api/v1" if api_prefix is None else _check_prefix(api_prefix)
    if not prefix or not api_prefix.endswith("/api/v1"):
        raise ValueError(
            'the dashboard needs a prefix, such as "/dashboard", and the admin API one that ends with /api/v1'
        )
    if gateway is None:
        gateway = app.get(MOUNTED)
    if gateway is None:
        raise ValueError("mount the gateway first, and hand over what gateway_proxy.mount() returned")
    add_site(app, prefix, api_prefix, gateway)


def _check_prefix(prefix: str) -> str:
    """Without a final slash. Raises ValueError."""
    stripped = prefix.rstrip("/")
    plain = stripped.isascii() and stripped.isprintable() and not set(stripped) & set(" %{}?#;\\")
    if stripped and (not plain or not stripped.startswith("/") or "//" in stripped):
        raise ValueError(f'{prefix!r} is no prefix; write a plain path such as "/llm", or "" for the root')
    return stripped


def _read_settings(config: Settings) -> Config:
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return config_from_dict(config)
    return load_config(Path(config))


async def _go_to_dashboard(_: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther("/dashboard")
