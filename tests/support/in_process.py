"""A whole gateway inside the test's own loop, for tests that shorten its deadlines. Real sockets, real store."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from gateway_proxy.app.gateway import Gateway
from gateway_proxy.app.server import Server
from gateway_proxy.cli.serve import OpenedStore, open_gateway
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.service import Caller, KeyService

__all__ = ["Served", "serve"]


class Served(NamedTuple):
    """`secret` is a key without limits."""

    gateway: Gateway
    server: Server
    port: int
    secret: str


@contextlib.asynccontextmanager
async def serve(
    folder: Path, tables: str, *, server: str = "drain_seconds = 0", **key: object
) -> AsyncIterator[Served]:
    """`tables` as for `RunningGateway`; `key` are members of the key."""
    (folder / "provider.key").write_text("fake-key")
    (folder / "provider.key").chmod(0o600)
    path = folder / "config.toml"
    path.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\n{server}\n[storage]\nurl = "sqlite:gateway.db"\n{tables}'
    )
    config = load_config(path)
    async with OpenedStore(config) as (store, pepper):
        await store.registry.ensure_organization("default")
        changed = await KeyService(store.keys, Clock(), pepper).create(
            {"name": "test", **key}, Caller("tests"), organization="default"
        )
        assert changed.secret is not None
        gateway = await open_gateway(config, store, pepper)
        listening = Server(gateway)
        try:
            port = urlsplit(await listening.start()).port
            assert port is not None
            yield Served(gateway, listening, port, changed.secret)
        finally:
            await listening.stop()
