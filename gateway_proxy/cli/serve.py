"""`serve`: the production start."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.app.process import run_loop, start_logging
from gateway_proxy.cli.local import config_option
from gateway_proxy.cli.refusal import Refusal

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway
    from gateway_proxy.app.part import Part, PartPlace
    from gateway_proxy.app.site_process import SiteProcess
    from gateway_proxy.config import Config
    from gateway_proxy.storage import Store

    Sockets = dict[str, list[socket.socket]]


@click.command()
@config_option
@click.pass_context
def serve(context: click.Context, config_path: Path | None) -> None:
    """Start the gateway. SIGTERM drains, SIGHUP and changes of the file reload."""
    from gateway_proxy.app.part import find_place
    from gateway_proxy.config import ConfigError, load_config
    from gateway_proxy.plugins.load import load_plugins

    try:
        config = load_config(config_path)
        load_plugins(config)  # a plugin that cannot be used is told like any other mistake
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(str(mistake), err=True)
        context.exit(1)
    if (place := find_place()) is not None:
        _work(config, place)
        return
    inherited = _take_sockets()
    _refuse_taken_address(config, inherited)
    start_logging()
    for setting in find_idle_settings(config):
        logging.getLogger("gateway_proxy").warning("%s is set, and has no effect here", setting)

    def announce(url: str, admin_url: str) -> None:
        click.echo(f"gateway-proxy serves {url}/v1", err=True)
        if config.dashboard.enabled:
            click.echo(f"The dashboard is at {admin_url}/dashboard", err=True)
        if not config.providers:
            click.echo(
                "No provider is configured yet: every model is unknown. See config.example.toml.", err=True
            )

    if config.server.workers > 1:
        _supervise(config, inherited, announce)
    else:
        run_loop(lambda: _serve(config, announce, inherited))


def _supervise(config: "Config", inherited: "Sockets", announce: Callable[[str, str], None]) -> None:
    from gateway_proxy.app.binding import listen
    from gateway_proxy.app.supervisor import Supervisor, WorkersFailed, make_command

    server = config.server
    try:
        for name, address in (("listen", server.listen), ("admin", server.admin_listen)):
            if address is not None and not inherited[name]:
                inherited[name] = listen(address.host, address.port)
    except OSError as error:
        raise Refusal(f"cannot listen on {_list_addresses(config)}: {error.strerror or error}") from None
    scheme = "http" if server.tls.cert is None else "https"
    urls = [f"{scheme}://{address}" for address in (server.listen, server.admin_listen or server.listen)]

    async def supervise() -> None:
        check = None if config.source is None else make_command(config.source, "check")
        command = make_command(config.source)
        supervisor = Supervisor(command, server.workers, inherited, server.drain_seconds, check)
        await supervisor.run(lambda: announce(urls[0], urls[1]))

    try:
        run_loop(supervise)
    except WorkersFailed as error:
        raise Refusal(str(error)) from None


def _work(config: "Config", place: "PartPlace") -> None:
    """One of several processes of a gateway."""
    from gateway_proxy.app.process import ignore_signals

    ignore_signals()
    start_logging()
    inherited = {name: [socket.socket(fileno=n) for n in numbers] for name, numbers in place.sockets.items()}
    run_loop(lambda: _serve(config, lambda url, admin_url: None, inherited, place))


def _take_sockets() -> "Sockets":
    from gateway_proxy.app.inherited import take_inherited

    try:
        return take_inherited()
    except ValueError as error:
        raise Refusal(str(error)) from None


def _refuse_taken_address(config: "Config", inherited: "Sockets") -> None:
    """Before anything is opened or written. Whoever takes the address in between is refused when we listen."""
    from gateway_proxy.app.binding import bind

    for listen, taken in zip(
        (config.server.listen, config.server.admin_listen), inherited.values(), strict=True
    ):
        if listen is None or taken:
            continue
        try:
            for probe in bind(listen.host, listen.port):
                probe.close()
        except OSError as error:
            raise Refusal(f"cannot listen on {listen}: {error.strerror or error}") from None


def find_idle_settings(config: "Config") -> list[str]:
    """What the file sets and this version does not use yet: nobody should rely on it unawares."""
    idle = {
        "[shared] redis_url": config.shared.redis_url is not None and config.storage.sqlite_path is not None,
    }
    return [setting for setting, is_set in idle.items() if is_set]


async def _serve(
    config: "Config",
    announce: Callable[[str, str], None],
    inherited: "Sockets",
    place: "PartPlace | None" = None,
) -> None:
    from gateway_proxy.app.part import Part
    from gateway_proxy.app.server import Server, run

    part = Part()
    if place is not None:
        await part.join(place)
    async with OpenedStore(config) as (store, pepper):
        gateway = await open_gateway(config, store, pepper, part)
        try:
            if config.dashboard.enabled and store.is_joined and part.is_first:
                await _offer_setup(config, store, gateway)
        except asyncio.CancelledError:  # interrupted, and nothing that heeds signals runs yet
            await gateway.close()
            raise
        site = make_site(gateway, pepper) if part.is_first else None
        server = Server(gateway, site=site, inherited=inherited)
        try:
            await run(server, lambda url: announce(url, server.admin_url))
        except OSError as error:
            await gateway.close()
            raise Refusal(f"cannot listen on {_list_addresses(config)}: {error.strerror or error}") from None


async def _offer_setup(config: "Config", store: "Store", gateway: "Gateway") -> None:
    """A store without members: the link by which its first owner signs up, to whoever started us and nobody else."""
    from gateway_proxy.admin.addresses import find_base_url
    from gateway_proxy.admin.links import Links, write_setup_link
    from gateway_proxy.admin.passwords import Passwords
    from gateway_proxy.admin.sessions import Sessions
    from gateway_proxy.admin.throttle import Throttle
    from gateway_proxy.core.clock import Clock

    clock, passwords = Clock(), Passwords()
    sessions = Sessions(store.identity, passwords, Throttle(clock), clock)
    links = Links(store.identity, passwords, sessions, clock, f"{find_base_url(config.server)}/dashboard")
    organization = config.gateway.organization
    link = await links.ensure_setup_link(
        "default" if organization == "*" else organization,
        beside=bool(await gateway.attachment.list_company(gateway.id)),
    )
    if link is not None and sys.stdout.isatty():
        click.echo(f"Nobody can sign in yet. Make the first owner within 24 hours, once, at\n  {link}")
        link = None
    path = write_setup_link(config.storage.data_dir, link)
    if link is not None:
        click.echo(f"Nobody can sign in yet: the link for the first owner is in {path}", err=True)


def _list_addresses(config: "Config") -> str:
    server = config.server
    return f"{server.listen}" if server.admin_listen is None else f"{server.listen} or {server.admin_listen}"


def make_site(gateway: "Gateway", pepper: bytes) -> "SiteProcess":
    """The admin process of this gateway, not yet started."""
    from gateway_proxy.app.inside import Inside
    from gateway_proxy.app.site_line import SiteSettings
    from gateway_proxy.app.site_process import SiteProcess

    return SiteProcess(lambda: SiteSettings(gateway.config, pepper), Inside(gateway).answer)


class OpenedStore:
    """The store with its schema up to date, and the pepper. Raises Refusal and changes nothing when one is wrong.

    The store of a demo is wrong everywhere but in one.
    """

    def __init__(self, config: "Config", *, for_demo: bool = False) -> None:
        from gateway_proxy.app.opening import opened_store

        self._opened = opened_store(config, for_demo=for_demo)

    async def __aenter__(self) -> "tuple[Store, bytes]":
        from gateway_proxy.keys.pepper import PepperError
        from gateway_proxy.storage import StoreError

        try:
            return await self._opened.__aenter__()
        except (PepperError, StoreError) as error:
            raise Refusal(str(error)) from None

    async def __aexit__(self, *raised: Any) -> None:
        await self._opened.__aexit__(*raised)


async def open_gateway(
    config: "Config", store: "Store", pepper: bytes, part: "Part | None" = None
) -> "Gateway":
    """A running gateway without a listener. Raises Refusal."""
    from gateway_proxy.app.gateway import Gateway
    from gateway_proxy.config import ConfigError
    from gateway_proxy.ledger.spool import SpoolUnavailable
    from gateway_proxy.storage import StoreError

    gateway = Gateway(config, store, pepper, part=part)
    try:
        await gateway.open()
    except (StoreError, SpoolUnavailable, ConfigError, ValueError) as error:
        raise Refusal(str(error)) from None
    return gateway
