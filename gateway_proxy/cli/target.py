"""What a command works on: the local store, or an admin API somewhere else. Commands see no difference.

Both speak the operations of the admin API: `await api.send("POST", "/keys", {…})` answers the same object and raises
the same problems.
"""

import functools
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from click.core import ParameterSource

from gateway_proxy.cli.local import Local, config_option, open_local
from gateway_proxy.cli.refusal import Refusal

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """`url` is empty for the local store of `config_path`."""

    config_path: Path | None
    url: str = ""
    token: str = field(default="", repr=False)


class AdminApi(Protocol):
    """The operations of the admin API."""

    async def send(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: Mapping[str, object] | None = None,
        revision: int | None = None,
    ) -> Any:
        """The answer's JSON, None without any. Query parameters that are None are left out. Raises Problem, Refusal."""
        ...


class LocalApi:
    """The operations on an open store, in this process."""

    def __init__(self, local: Local) -> None:
        self._local = local

    async def send(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        query: Mapping[str, object] | None = None,
        revision: int | None = None,
    ) -> Any:
        from gateway_proxy.admin.api.operation import perform
        from gateway_proxy.admin.api.table import find_operation

        found = find_operation(method, path)
        assert found is not None, f"{method} {path} is no operation"
        operation, ids = found
        answer = await perform(
            operation, await self._local.admin(reading=method == "GET"), self._local.actor,
            ids=ids, query=query_pairs(query), document=document, revisions=None if revision is None else [revision],
        )  # fmt: skip
        return answer.body


def target_options(command: _Command) -> Callable[..., Any]:
    """`-c FILE`, `--url URL`, `--token SECRET`, handed on as `target`."""

    @functools.wraps(command)
    def wrapped(*args: Any, config_path: Path | None, api_url: str, api_token: str, **options: Any) -> Any:
        return command(*args, target=_choose(config_path, api_url, api_token), **options)

    token_option = click.option(
        "--token", "api_token", default="", envvar="GATEWAY_PROXY_TOKEN", metavar="SECRET",
        help="Admin token for --url; env:NAME or file:PATH keep it out of the process list."
        " Default: $GATEWAY_PROXY_TOKEN.",
    )  # fmt: skip
    url_option = click.option(
        "--url", "api_url", default="", envvar="GATEWAY_PROXY_URL", metavar="URL",
        help="Work on the admin API there, instead of the local store. Default: $GATEWAY_PROXY_URL.",
    )  # fmt: skip
    return config_option(url_option(token_option(wrapped)))


@asynccontextmanager
async def open_api(target: Target, *, create: bool = False) -> AsyncIterator[AdminApi]:
    """The API there, or on the local store, which `create` makes if it is missing. Raises Refusal."""
    if target.url:
        from gateway_proxy.cli.remote import open_remote

        async with open_remote(target.url, _read_token(target.token)) as remote:
            yield remote
    else:
        async with open_local(target.config_path, create=create) as local:
            yield LocalApi(local)


def query_pairs(query: Mapping[str, object] | None) -> list[tuple[str, str]]:
    """The parameters that are set, as texts."""
    return [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in (query or {}).items()
        if value is not None
    ]


def _choose(config_path: Path | None, url: str, token: str) -> Target:
    context = click.get_current_context()

    def is_given(name: str) -> bool:
        return context.get_parameter_source(name) is ParameterSource.COMMANDLINE

    if is_given("api_url") and is_given("config_path"):
        raise click.UsageError("--url and -c contradict each other: there, or in the local store")
    if is_given("config_path"):
        url = ""  # the environment's: what is typed wins
    if is_given("api_token") and not url:
        raise click.UsageError("--token: goes with --url")
    return Target(config_path, url.strip(), token.strip())


def _read_token(text: str) -> str:
    kind, _, rest = text.partition(":")
    if kind == "env":
        text = os.environ.get(rest, "").strip()
        if not text:
            raise Refusal(f"--token: the environment variable {rest} is not set, or empty")
    elif kind == "file":
        try:
            text = Path(rest).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Refusal(f"--token: {rest} cannot be read") from None
    if not text:
        raise Refusal("an admin token is needed with --url: give --token, or set GATEWAY_PROXY_TOKEN")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise Refusal("--token: is not an admin token; one begins with gwa_")
    return text
