"""`keys import` and `keys export`."""

import csv
import json
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from gateway_proxy.admin.services import owner_finder
from gateway_proxy.cli.local import Local, config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_json
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.draft import DraftError
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.service import Caller, KeyService
from gateway_proxy.keys.transfer import ImportRow, export_csv, export_json, parse_import

_MAX_FILE_BYTES = 512 * 1024 * 1024
_SHOWN_MISTAKES = 20


@dataclass
class _Tally:
    created: list[dict[str, str]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@json_option
@click.option(
    "--owner", metavar="E-MAIL", help="Owner of rows that name none; default: the only owner, else local."
)
@click.option(
    "--secrets-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the new secrets there (CSV, mode 0600, appended) instead of to the output.",
)
def import_keys(
    file: Path, config_path: Path | None, as_json: bool, owner: str | None, secrets_out: Path | None
) -> None:
    """Create keys from a CSV or JSON file ("-": standard input).

    Each gets a new secret. Nothing is created if any row is wrong; rows that were imported before are skipped, so
    an interrupted import can be repeated.
    """
    text = _read(file)
    tally = _Tally()

    async def work() -> None:
        async with open_local(config_path, create=True) as local:
            organization = local.organization or "default"
            standing_owner = owner or await local.default_owner(organization)
            rows = parse_import(text, organization, standing_owner, Clock().now_ms())
            await _check_owners(local, organization, rows)
            with ExitStack() as stack:
                out = stack.enter_context(_open_secrets(secrets_out)) if secrets_out else None
                target = out or (None if as_json else sys.stdout)
                await _Import(local, organization, standing_owner, tally, target).run(
                    rows, fresh=_is_fresh(out)
                )

    try:
        run_async(work())
    except DraftError as error:
        raise Refusal(f"{file}: nothing was imported. {_list_mistakes(error)}") from None
    except BaseException:
        # What was created before the failure exists: its secrets must not be lost with it.
        if as_json and tally.created:
            _print_tally(tally)
        raise
    if as_json:
        _print_tally(tally)
        return
    click.echo(f"{len(tally.created)} created, {len(tally.skipped)} skipped.", err=True)
    for skipped in tally.skipped[:_SHOWN_MISTAKES]:
        click.echo(f"  skipped {skipped['place']}: {skipped['reason']}", err=True)


def _print_tally(tally: _Tally) -> None:
    print_json({"created": tally.created, "skipped": tally.skipped})


@click.command("export")
@config_option
@json_option
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Instead of the output."
)
def export_keys(config_path: Path | None, as_json: bool, output: Path | None) -> None:
    """Write all keys as CSV, or as JSON with --json. Secrets are never in it."""

    async def work() -> str:
        async with open_local(config_path) as local:
            keys = await local.search_keys()
        now_ms = Clock().now_ms()
        if as_json:
            return json.dumps(export_json(keys, now_ms), ensure_ascii=False, indent=2) + "\n"
        return export_csv(keys, now_ms)

    text = run_async(work())
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refusal(f"{output} cannot be written ({error.strerror})") from None


class _Import:
    """One run: creates the rows that are not there yet, and writes each secret as soon as its key exists."""

    def __init__(
        self, local: Local, organization: str, owner: str, tally: _Tally, lines: IO[str] | None
    ) -> None:
        self._local = local
        self._organization = organization
        self._owner = owner
        self._tally = tally
        self._lines = lines

    async def run(self, rows: Sequence[ImportRow], *, fresh: bool) -> None:
        service = await self._local.service()
        if self._lines is not None and rows and fresh:
            _write_line(self._lines, ["id", "name", "owner", "secret"])
        sequence: int | None = None
        hidden = not sys.stderr.isatty()
        with click.progressbar(rows, label="Importing", file=sys.stderr, hidden=hidden) as progress:
            for row in progress:
                reason = await self._reason_to_skip(row)
                if reason:
                    self._tally.skipped.append({"place": row.place, "id": row.key_id, "reason": reason})
                else:
                    sequence = await self._create(service, row)
        await self._local.wait_until_live(self._organization, sequence)

    async def _reason_to_skip(self, row: ImportRow) -> str:
        if row.ended:
            return f"it is {row.ended}"
        if await self._local.store.keys.find(row.key_id) is not None:
            return f"key {row.key_id} exists already"
        deleted = await self._local.store.keys.find_deleted([row.key_id])
        return f"key {row.key_id} was deleted" if deleted else ""

    async def _create(self, service: KeyService, row: ImportRow) -> int | None:
        caller = Caller("cli", self._local.organization)
        made = await service.create(
            row.draft, caller, organization=self._organization, owner=self._owner, key_id=row.key_id
        )
        key, secret = made.key, made.secret or ""
        created = {"id": key.id, "name": key.name, "owner": key.owner}
        if self._lines is None:
            created["secret"] = secret
        else:
            _write_line(self._lines, [key.id, key.name, key.owner, secret])
        self._tally.created.append(created)
        if row.inactive:
            return (await service.deactivate(key.id, caller)).sequence
        return made.sequence


async def _check_owners(local: Local, organization: str, rows: Sequence[ImportRow]) -> None:
    """Raise DraftError for owners who are no members, before anything is created."""
    owners = {row.owner for row in rows}
    find_owner = owner_finder(local.store)
    unknown = {owner for owner in owners if await find_owner(organization, owner) is None}
    if unknown:
        message = f"is not a member of {organization}"
        raise DraftError(
            [FieldError(row.place, f"{row.owner} {message}") for row in rows if row.owner in unknown]
        )


def _is_fresh(out: IO[str] | None) -> bool:
    return out is None or out.tell() == 0


def _write_line(out: IO[str], cells: Sequence[str]) -> None:
    csv.writer(out, lineterminator="\n").writerow(cells)
    out.flush()


def _read(file: Path) -> str:
    try:
        with open(0 if str(file) == "-" else file, "rb") as source:
            content = source.read(_MAX_FILE_BYTES + 1)
        if len(content) > _MAX_FILE_BYTES:
            raise Refusal(f"{file} is larger than {_MAX_FILE_BYTES} bytes; split it")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise Refusal(f"{file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Refusal(f"{file} is not UTF-8 text; save it as UTF-8") from None


def _open_secrets(path: Path) -> IO[str]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refusal(f"{path} cannot be written ({error.strerror})") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        os.close(descriptor)
        raise Refusal(f"{path} can be read by others; remove it or set its mode to 0600")
    out = os.fdopen(descriptor, "a", encoding="utf-8", newline="")
    out.seek(0, os.SEEK_END)
    return out


def _list_mistakes(error: DraftError) -> str:
    mistakes: list[Any] = error.errors
    shown = "; ".join(f"{m.path}: {m.message}" if m.path else m.message for m in mistakes[:_SHOWN_MISTAKES])
    more = len(mistakes) - _SHOWN_MISTAKES
    return f"{shown}; and {more} more" if more > 0 else shown
