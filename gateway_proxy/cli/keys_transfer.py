"""`keys import` and `keys export`."""

import asyncio
import csv
import json
import os
import stat
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import click

from gateway_proxy.admin.problem import Conflict
from gateway_proxy.cli.local import json_option, run_async
from gateway_proxy.cli.lookup import list_all
from gateway_proxy.cli.output import print_json
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.cli.target import AdminApi, Target, open_api, target_options
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.draft import DraftError
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.transfer import ImportRow, export_csv, export_json, parse_import

_MAX_FILE_BYTES = 512 * 1024 * 1024
_SHOWN_MISTAKES = 20
_LIVE_POLLS = 20


@dataclass
class _Tally:
    created: list[dict[str, str]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@target_options
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
    file: Path, target: Target, as_json: bool, owner: str | None, secrets_out: Path | None
) -> None:
    """Create keys from a CSV or JSON file ("-": standard input).

    Each gets a new secret. Nothing is created if any row is wrong; rows that were imported before are skipped, so
    an interrupted import can be repeated.
    """
    text = _read(file)
    tally = _Tally()

    async def work() -> None:
        async with open_api(target, create=True) as api:
            me = await api.send("GET", "/me")
            standing_owner = owner or me["default_owner"]
            rows = parse_import(text, me["home"], standing_owner, Clock().now_ms())
            await _check_owners(api, me["home"], rows)
            with ExitStack() as stack:
                out = stack.enter_context(_open_secrets(secrets_out)) if secrets_out else None
                lines = out or (None if as_json else sys.stdout)
                await _Import(api, tally, lines).run(rows, fresh=_is_fresh(out))

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
@target_options
@json_option
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Instead of the output."
)
def export_keys(target: Target, as_json: bool, output: Path | None) -> None:
    """Write all keys as CSV, or as JSON with --json. Secrets are never in it, nor are ephemeral tokens."""

    async def work() -> str:
        async with open_api(target) as api:
            # A token ends soon and cannot be made again elsewhere.
            keys = [key for key in await list_all(api, "/keys") if key["kind"] == "key"]
        if as_json:
            return json.dumps(export_json(keys), ensure_ascii=False, indent=2) + "\n"
        return export_csv(keys)

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

    def __init__(self, api: AdminApi, tally: _Tally, lines: IO[str] | None) -> None:
        self._api = api
        self._tally = tally
        self._lines = lines

    async def run(self, rows: Sequence[ImportRow], *, fresh: bool) -> None:
        if self._lines is not None and rows and fresh:
            _write_line(self._lines, ["id", "name", "owner", "secret"])
        last = ""
        hidden = not sys.stderr.isatty()
        with click.progressbar(rows, label="Importing", file=sys.stderr, hidden=hidden) as progress:
            for row in progress:
                reason = f"it is {row.ended}" if row.ended else await self._create(row)
                if reason:
                    self._tally.skipped.append({"place": row.place, "id": row.key_id, "reason": reason})
                else:
                    last = row.key_id
        if last:
            await _wait_until_live(self._api, last)

    async def _create(self, row: ImportRow) -> str:
        """Why it was skipped, "" if it was created."""
        try:
            made = await self._api.send(
                "POST", "/keys/import", {**row.draft, "owner": row.owner, "id": row.key_id}
            )
        except Conflict as problem:
            return problem.detail
        key, secret = made["key"], made["secret"]
        created = {"id": key["id"], "name": key["name"], "owner": key["owner"]}
        if self._lines is None:
            created["secret"] = secret
        else:
            _write_line(self._lines, [key["id"], key["name"], key["owner"], secret])
        self._tally.created.append(created)
        if row.inactive:
            await self._api.send("POST", f"/keys/{key['id']}/deactivate")
        return ""


async def _wait_until_live(api: AdminApi, key_id: str) -> None:
    """What is imported is in force when the command ends; a gateway that lags is not waited for longer than a second."""
    for _ in range(_LIVE_POLLS):
        live_on = (await api.send("GET", f"/keys/{key_id}"))["live_on"]
        if live_on["acked"] >= live_on["gateways"]:
            return
        await asyncio.sleep(1 / _LIVE_POLLS)


async def _check_owners(api: AdminApi, organization: str, rows: Sequence[ImportRow]) -> None:
    """Raise DraftError for owners who are no members, before anything is created."""
    members = await list_all(api, "/members")
    known = {member["email"] for member in members if member["organization"] == organization}
    # Before anybody has signed up there is nobody to tell a typing error by.
    unknown = {row.owner for row in rows} - known - {"local"} if known else set()
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
    shown = "; ".join(map(str, error.errors[:_SHOWN_MISTAKES]))
    more = len(error.errors) - _SHOWN_MISTAKES
    return f"{shown}; and {more} more" if more > 0 else shown
