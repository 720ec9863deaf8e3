"""`keys import` and `keys export`."""

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

from gateway_proxy.cli.local import Local, config_option, json_option, open_local, run_async
from gateway_proxy.cli.output import print_json
from gateway_proxy.cli.refusal import Refusal
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.draft import DraftError
from gateway_proxy.keys.service import Caller
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
            with ExitStack() as stack:
                out = stack.enter_context(_open_secrets(secrets_out)) if secrets_out else None
                await _import_rows(
                    local,
                    rows,
                    organization,
                    standing_owner,
                    tally,
                    None if as_json else out or sys.stdout,
                    out,
                )

    try:
        run_async(work())
    except DraftError as error:
        raise Refusal(f"{file}: nothing was imported. {_list_mistakes(error)}") from None
    finally:
        if as_json:
            print_json({"created": tally.created, "skipped": tally.skipped})
    if not as_json:
        click.echo(f"{len(tally.created)} created, {len(tally.skipped)} skipped.", err=True)
        for skipped in tally.skipped[:_SHOWN_MISTAKES]:
            click.echo(f"  skipped {skipped['place']}: {skipped['reason']}", err=True)


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


async def _import_rows(
    local: Local,
    rows: Sequence[ImportRow],
    organization: str,
    owner: str,
    tally: _Tally,
    lines: IO[str] | None,
    secrets: IO[str] | None,
) -> None:
    service = await local.service()
    caller = Caller("cli", local.organization)
    sequence: int | None = None
    target = secrets or lines
    if target is not None and rows and not (secrets and secrets.tell()):
        _write_line(target, ["id", "name", "owner", "secret"])
    with click.progressbar(
        rows, label="Importing", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for row in progress:
            if row.ended or await local.store.keys.find(row.key_id) is not None:
                reason = f"it is {row.ended}" if row.ended else f"key {row.key_id} exists already"
                tally.skipped.append({"place": row.place, "id": row.key_id, "reason": reason})
                continue
            if row.key_id in await local.store.keys.find_deleted([row.key_id]):
                reason = f"key {row.key_id} was deleted"
                tally.skipped.append({"place": row.place, "id": row.key_id, "reason": reason})
                continue
            made = await service.create(
                row.draft, caller, organization=organization, owner=owner, key_id=row.key_id
            )
            sequence = made.sequence
            if target is not None:
                _write_line(target, [made.key.id, made.key.name, made.key.owner, made.secret or ""])
            created = {"id": made.key.id, "name": made.key.name, "owner": made.key.owner}
            tally.created.append(created if secrets else {**created, "secret": made.secret or ""})
            if row.inactive:
                sequence = (await service.deactivate(made.key.id, caller)).sequence
    await local.wait_until_live(organization, sequence)


def _write_line(out: IO[str], cells: Sequence[str]) -> None:
    import csv

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
