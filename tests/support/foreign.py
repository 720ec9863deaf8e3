"""Somebody else's aiohttp application on a real socket, with a gateway in it and a key to use it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from gateway_proxy.keys.service import Caller, KeyService

__all__ = ["Foreign", "make_key", "serve_app", "write_settings"]


class Foreign(NamedTuple):
    """The running application; its `origin` has no final slash."""

    runner: web.AppRunner
    port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def write_settings(folder: Path, tables: str, *, server: str = "drain_seconds = 0") -> Path:
    """A settings file; providers' credential is `file:provider.key`."""
    (folder / "provider.key").write_text("fake-key")
    (folder / "provider.key").chmod(0o600)
    path = folder / "config.toml"
    path.write_text(f'[server]\n{server}\n[storage]\nurl = "sqlite:gateway.db"\n{tables}')
    return path


@contextlib.asynccontextmanager
async def serve_app(app: web.Application, **options: Any) -> AsyncIterator[Foreign]:
    """As `web.run_app` would, on a free port."""
    runner = web.AppRunner(app, **options)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield Foreign(runner, runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def make_key(mounted: Any, live: Callable[[], object] | None = None, **members: object) -> str:
    """The secret of a new key of a mounted gateway, which has it already."""
    gateway = mounted.gateway
    await gateway.store.registry.ensure_organization("default")
    service = KeyService(gateway.store.keys, gateway.clock, mounted.pepper)
    changed = await service.create({"name": "test", **members}, Caller("tests"), organization="default")
    await gateway.follower.catch_up()
    assert changed.secret is not None
    return changed.secret
