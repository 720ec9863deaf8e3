"""`store copy`: moves a store, for example from SQLite to PostgreSQL."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_proxy.cli.local import json_option, private_folder, run_async
from gateway_proxy.cli.output import print_json
from gateway_proxy.config.servers import check_postgres_url
from gateway_proxy.core.money import format_usd

if TYPE_CHECKING:
    from gateway_proxy.storage.copying import Copied

_LABELS = {"copy": "Copying", "compare": "Comparing"}


@click.command()
@click.option(
    "--from", "origin", required=True, metavar="URL", help="The store to copy: sqlite:PATH or postgresql://…"
)
@click.option(
    "--to", "target", required=True, metavar="URL",
    help="An empty store, or the unfinished copy. A URL may be env:NAME or file:PATH, which keeps its password out of the process list.",
)  # fmt: skip
@json_option
def copy(origin: str, target: str, as_json: bool) -> None:
    """Copy all of a store into an empty one, and compare the two.

    No gateway may run on either. The command may be killed and run again: it goes on where it was. Keys, spend and
    history are the same there, with the same pepper.
    """
    origin, target = _read_url("--from", origin), _read_url("--to", target)
    if origin == target:
        raise click.UsageError("--from and --to are the same store")
    with _Bars() as bars:
        copied = run_async(_copy(origin, target, bars))
    if as_json:
        print_json(
            {
                "rows": sum(copied.rows.values()),
                "copied": copied.copied,
                "resumed": copied.resumed,
                "charged_usd": format_usd(copied.charged_nanos),
                "tables": copied.rows,
            }
        )
    elif copied.copied:
        print(
            f"{copied.copied} rows copied, {sum(copied.rows.values())} there; both stores have the same rows and"
            f" {format_usd(copied.charged_nanos)} USD in the ledger."
        )
    else:
        print("Nothing to do: the copy is complete and equal.")


async def _copy(origin: str, target: str, bars: "_Bars") -> "Copied":
    from gateway_proxy.storage import open_database
    from gateway_proxy.storage.copying import copy_store

    source = await open_database(origin, create=False)
    try:
        if target.startswith("sqlite:"):
            private_folder(Path(target.removeprefix("sqlite:")).parent)
        there = await open_database(target)
        try:
            return await copy_store(source, there, bars.show)
        finally:
            await there.close()
    finally:
        await source.close()


class _Bars:
    """One bar for each stage, on a terminal only."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._what = ""
        self._bar: Any = None

    def __enter__(self) -> "_Bars":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        if what != self._what:
            self._stack.close()
            self._what = what
            self._bar = self._stack.enter_context(
                click.progressbar(length=total, label=_LABELS[what], file=sys.stderr)
            )
        self._bar.update(done - self._bar.pos)


def _read_url(flag: str, text: str) -> str:
    kind, _, rest = text.strip().partition(":")
    if kind == "env":
        text = os.environ.get(rest, "")
    elif kind == "file":
        try:
            text = Path(rest).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise click.UsageError(f"{flag}: {rest} cannot be read") from None
    if not text.strip():
        raise click.UsageError(f"{flag}: {kind}:{rest} holds no URL")
    if not (url := text.strip()).startswith("sqlite:"):
        try:
            check_postgres_url(url)
        except ValueError as error:
            raise click.UsageError(f"{flag}: the URL {error}") from None
    return url
