"""`serve`: the production start."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.check import list_unserved
from gateway_proxy.cli.local import config_option, private_folder
from gateway_proxy.cli.refusal import Refusal

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway
    from gateway_proxy.config import Config
    from gateway_proxy.storage import Store


@click.command()
@config_option
@click.pass_context
def serve(context: click.Context, config_path: Path | None) -> None:
    """Start the gateway. SIGTERM drains, SIGHUP and changes of the file reload."""
    from gateway_proxy.config import ConfigError, load_config

    try:
        config = load_config(config_path)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(str(mistake), err=True)
        context.exit(1)
    unserved = list_unserved(config)
    for path, message in unserved:
        click.echo(f"{config.source}: {path}: {message}", err=True)
    if unserved:
        context.exit(1)
    _refuse_taken_address(config)
    start_logging()
    for setting in find_idle_settings(config):
        logging.getLogger("gateway_proxy").warning("%s is set, and has no effect in this version", setting)

    def announce(url: str) -> None:
        click.echo(f"gateway-proxy serves {url}/v1", err=True)
        if not config.providers:
            click.echo(
                "No provider is configured yet: every model is unknown. See config.example.toml.", err=True
            )

    run_loop(lambda: _serve(config, announce))


def _refuse_taken_address(config: "Config") -> None:
    """Before anything is opened or written. Whoever takes the address in between is refused when we listen."""
    listen = config.server.listen
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        raise Refusal(f"cannot listen on {listen}: {error.strerror or error}") from None


def find_idle_settings(config: "Config") -> list[str]:
    """What the file sets and this version does not use yet: nobody should rely on it unawares."""
    idle = {
        "[server] admin_listen": config.server.admin_listen is not None,
        "[shared] redis_url": config.shared.redis_url is not None,
        "[[mcp.servers]]": bool(config.mcp.servers),
        "[dashboard] oidc": bool(config.dashboard.oidc.issuer),
        "[logs] bodies": config.logs.bodies,
    }
    return [setting for setting, is_set in idle.items() if is_set]


async def _serve(config: "Config", announce: Callable[[str], None]) -> None:
    from gateway_proxy.app.server import Server, run

    async with OpenedStore(config) as (store, pepper):
        gateway = await open_gateway(config, store, pepper)
        try:
            await run(Server(gateway), announce)
        except OSError as error:
            await gateway.close()
            raise Refusal(f"cannot listen on {config.server.listen}: {error.strerror or error}") from None


class OpenedStore:
    """The store with its schema up to date, and the pepper. Raises Refusal and changes nothing when one is wrong.

    The store of a demo is wrong everywhere but in one.
    """

    def __init__(self, config: "Config", *, for_demo: bool = False) -> None:
        self._config = config
        self._for_demo = for_demo

    async def __aenter__(self) -> "tuple[Store, bytes]":
        from gateway_proxy.keys.pepper import PepperError, ready_pepper
        from gateway_proxy.storage import StoreError, open_store

        config = self._config
        path = config.storage.sqlite_path
        assert path is not None
        private_folder(config.storage.data_dir)
        if not path.parent.exists():
            private_folder(path.parent)
        try:
            self.store = await open_store(config.storage.url.reveal(), migrate=True)
        except StoreError as error:
            raise Refusal(str(error)) from None
        try:
            if not self._for_demo and await self.store.registry.is_demo():
                raise StoreError(f"{path} is the store of a demo; give [storage] url another file")
            pepper = await ready_pepper(
                config.security.pepper, os.environ, self.store.registry, self.store.keys
            )
        except (PepperError, StoreError) as error:
            await self.store.close()
            raise Refusal(str(error)) from None
        return self.store, pepper

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()


async def open_gateway(config: "Config", store: "Store", pepper: bytes) -> "Gateway":
    """A running gateway without a listener. Raises Refusal."""
    from gateway_proxy.app.gateway import Gateway
    from gateway_proxy.ledger.spool import SpoolUnavailable
    from gateway_proxy.storage import StoreError

    gateway = Gateway(config, store, pepper)
    try:
        await gateway.open()
    except (StoreError, SpoolUnavailable, ValueError) as error:
        raise Refusal(str(error)) from None
    return gateway


def run_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function on uvloop where it exists."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def start_logging() -> None:
    """One line a message on stderr. aiohttp's own server log could echo what clients send, so it stays silent."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for noisy in ("aiohttp", "asyncio", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if noisy == "aiohttp" else logging.WARNING)
