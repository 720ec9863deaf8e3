"""The local store behind a command: settings, store, pepper and key service, opened and closed around it."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway_proxy.cli.refusal import Refusal

if TYPE_CHECKING:
    from gateway_proxy.admin.actor import Actor
    from gateway_proxy.admin.services import Admin
    from gateway_proxy.config import Config
    from gateway_proxy.keys.service import KeyService
    from gateway_proxy.keys.view import LiveOn
    from gateway_proxy.storage import Store

# Where a member of a document comes from on the command line, if not from the argument or flag of its name.
_FLAGS = {
    "expires_in": "--expires",
    "expires_at": "--expires",
    "transfer_to": "--transfer-to",
    "mcp_tool": "--mcp-tool",
}
_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., Any])


def config_option(command: _Command) -> _Command:
    """`-c FILE`, or the environment's GATEWAY_PROXY_CONFIG."""
    return click.option(
        "-c",
        "--config",
        "config_path",
        envvar="GATEWAY_PROXY_CONFIG",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings file; default: $GATEWAY_PROXY_CONFIG, else the built-in defaults.",
    )(command)


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON as the admin API would.")(command)


@dataclass(frozen=True)
class Local:
    """An open store and the settings that led to it."""

    config: "Config"
    store: "Store"

    @property
    def organization(self) -> str | None:
        """The organization that commands work on; None = all of them."""
        name = self.config.gateway.organization
        return None if name == "*" else name

    async def service(self) -> "KeyService":
        """The key service; makes the pepper if the store has none yet. Raises Refusal, StoreError."""
        from gateway_proxy.admin.services import owner_finder
        from gateway_proxy.core.clock import Clock
        from gateway_proxy.keys.service import KeyService
        from gateway_proxy.keys.signing import SigningFile

        signing = SigningFile(self.config.storage.data_dir)
        return KeyService(self.store.keys, Clock(), await self._pepper(), owner_finder(self.store), signing)

    async def admin(self, *, reading: bool = False) -> "Admin":
        """All admin services; makes the pepper if the store has none yet. Raises Refusal, StoreError.

        Where nothing but `reading` is wanted, the pepper is not needed, and may even be lost.
        """
        from gateway_proxy.admin.services import build_admin
        from gateway_proxy.app.offline import StoreView
        from gateway_proxy.core.clock import Clock

        clock = Clock()
        view = StoreView(self.store, self.config, clock)
        return build_admin(
            self.store, b"" if reading else await self._pepper(), clock, self.config, view=view
        )

    @property
    def actor(self) -> "Actor":
        """The command line: whoever may read the store's files may do what an owner may."""
        from gateway_proxy.admin.actor import Actor, Role

        return Actor(name="cli", role=Role.OWNER, organization=self.organization, via="cli")

    async def _pepper(self) -> bytes:
        from gateway_proxy.app.data_dir import ready_data_dir
        from gateway_proxy.keys.pepper import PepperError, ready_pepper

        ready_data_dir(self.config, writes=False)
        try:
            reference = self.config.security.pepper
            return await ready_pepper(reference, os.environ, self.store.registry, self.store.keys)
        except PepperError as error:
            raise Refusal(str(error)) from None

    async def wait_until_live(self, organization: str, sequence: int | None) -> "LiveOn":
        """Wait, at most a second, until every attached gateway has applied the change."""
        from gateway_proxy.admin.gateways import wait_until_live
        from gateway_proxy.core.clock import Clock

        return await wait_until_live(self.store.registry, Clock(), organization, sequence)


def load_settings(path: Path | None) -> "Config":
    """The settings of the file, or the defaults. Raises Refusal naming the first mistake."""
    from gateway_proxy.config import ConfigError, load_config

    try:
        return load_config(path if path is not None and str(path) else None)
    except ConfigError as error:
        more = len(error.mistakes) - 1
        rest = f" (and {more} more: run `gateway-proxy check`)" if more else ""
        raise Refusal(f"{error.mistakes[0]}{rest}") from None


def private_folder(folder: Path) -> None:
    """Create the folder, for its owner only, unless it is there. Raises Refusal."""
    from gateway_proxy.keys.pepper import PepperError, make_private_folder

    try:
        make_private_folder(folder)
    except PepperError as error:
        raise Refusal(str(error)) from None


@asynccontextmanager
async def open_local(config_path: Path | None, *, create: bool = False) -> AsyncIterator[Local]:
    """The store of the settings. A missing one is refused, or made with `create`. Raises Refusal."""
    from gateway_proxy.storage import open_store

    config = load_settings(config_path)
    path = config.storage.sqlite_path
    missing = path is not None and not path.exists()
    if missing and not create:
        raise Refusal(
            f"there is no store at {path}; create a key or start `gateway-proxy serve`, or name the file with -c"
        )
    if path is not None and missing:
        private_folder(path.parent)
    store = await open_store(config.storage.url.reveal(), create=missing, migrate=missing)
    try:
        yield Local(config, store)
    finally:
        await store.close()


def run_async(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a command's coroutine; what storage and services refuse becomes a Refusal, wrong values a UsageError."""
    with closing(work):  # whatever may happen before it has begun
        from gateway_proxy.admin.problem import Invalid, Problem
        from gateway_proxy.app.interrupts import run_to_interrupt
        from gateway_proxy.keys.service import ServiceError
        from gateway_proxy.storage import StoreError

        try:
            return run_to_interrupt(work)
        except Invalid as problem:
            mistakes = [f"{_name_typed(e.path)}: {speak_of_flags(e.message)}" for e in problem.errors]
            raise click.UsageError("; ".join(mistakes)) from None
        except (StoreError, ServiceError, Problem) as error:
            raise Refusal(str(error)) from None


def _name_typed(member: str) -> str:
    """What the command calls a member of its document."""
    context = click.get_current_context(silent=True)
    for parameter in context.command.params if context else ():
        if isinstance(parameter, click.Argument) and parameter.name == member:
            return parameter.human_readable_name
    return _FLAGS.get(member, f"--{member}")


def speak_of_flags(message: str) -> str:
    """A mistake's message, which speaks of the API's members, in a command's words: a date stands for `expires_at` there."""
    return message.replace("or expires_at", "or a date").replace(
        "send ephemeral: true, or expires_in", "add --ephemeral, or use --expires"
    )
