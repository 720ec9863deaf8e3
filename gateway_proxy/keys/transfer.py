"""Moving keys between stores as CSV or JSON. Neither direction ever carries a secret.

An imported key gets a new secret. Every row has an identity (its `id`, else its `external_id`, else name
and owner), from which the key's id is derived: so an import that was interrupted can simply be repeated.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway_proxy.core.ids import is_id
from gateway_proxy.core.key import Key, Status
from gateway_proxy.keys.cells import read_cell, write_cell
from gateway_proxy.keys.draft import DraftError, apply_creation
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.secret import looks_like_secret
from gateway_proxy.keys.view import key_object, scope_members

MAX_ROWS = 1_000_000
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SAMPLE = Key(id="", name="", organization="", owner="")
_SCOPES = tuple(scope_members(_SAMPLE))
# What an export says besides the scopes: known here, so that its rows can be imported as they are.
_OTHERS = frozenset(key_object(_SAMPLE, 0)).difference(_SCOPES)
_COLUMNS = ("id", *_SCOPES, "status")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One key to create. `place` says where in the file it stands."""

    place: str
    key_id: str
    draft: dict[str, Any]
    owner: str
    inactive: bool = False
    ended: str = ""  # expired or revoked: then it is not created


def parse_import(text: str, organization: str, owner: str, now_ms: int) -> list[ImportRow]:
    """The rows of a CSV or JSON file, every one of them valid. Raises DraftError with all mistakes.

    `owner` stands in where a row names none.
    """
    problems: list[FieldError] = []
    rows: list[ImportRow] = []
    seen: dict[str, str] = {}
    raw_rows = _read_json(text) if text.lstrip()[:1] in ("[", "{") else _read_csv(text, problems)
    blank = Key(id="key_", name="", organization=organization, owner=owner)
    for place, raw in raw_rows:
        try:
            row = _read_row(place, raw, blank, now_ms)
        except DraftError as error:
            problems += [FieldError(f"{place}: {e.path}".rstrip(": "), e.message) for e in error.errors]
            continue
        if row.key_id in seen:
            problems.append(
                FieldError(place, f"is the same key as {seen[row.key_id]} (id, or name and owner)")
            )
        seen[row.key_id] = place
        rows.append(row)
    if problems:
        raise DraftError(problems)
    return rows


def export_csv(keys: Iterable[Mapping[str, Any]]) -> str:
    """All key objects as CSV with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for key in keys:
        writer.writerow([_guard(write_cell(key[column])) for column in _COLUMNS])
    return text.getvalue()


def export_json(keys: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All key objects as one JSON object; without what only the books of their store can tell."""
    return {"data": [{column: key[column] for column in _COLUMNS} for key in keys], "next_cursor": None}


def derive_id(*identity: str) -> str:
    """A key id that is always the same for the same identity."""
    number = int.from_bytes(hashlib.sha256("\0".join(identity).encode()).digest()[:16], "big")
    return "key_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def _read_row(place: str, raw: Mapping[str, Any], blank: Key, now_ms: int) -> ImportRow:
    for member, value in raw.items():
        if member in ("secret", "token", "api_key") or (isinstance(value, str) and looks_like_secret(value)):
            raise DraftError(
                [FieldError(_name(member), "holds a secret; remove it: imported keys get new ones")]
            )
    draft = {
        member: value for member, value in raw.items() if member not in _OTHERS and member != "external_id"
    }
    status = raw.get("status")
    ended = str(status) if status in (Status.EXPIRED, Status.REVOKED) else ""
    if ended == Status.EXPIRED:
        draft.pop("expires_at", None)
    key = apply_creation(blank, draft, now_ms)
    return ImportRow(place, _identity(raw, key), draft, key.owner, status == Status.INACTIVE, ended)


def _identity(raw: Mapping[str, Any], key: Key) -> str:
    given, external = raw.get("id"), raw.get("external_id")
    if given:
        if not isinstance(given, str) or not is_id(given, "key"):
            raise DraftError([FieldError("id", "is not a key id; call the column external_id")])
        return given
    if external not in (None, ""):
        return derive_id(key.organization, "external_id", str(external))
    return derive_id(key.organization, "name", key.name, key.owner)


def _read_csv(text: str, problems: list[FieldError]) -> list[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    rows: list[tuple[str, dict[str, Any]]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if "name" not in header:
            raise DraftError([FieldError("line 1", "must name the columns, `name` among them")])
        if len(set(header)) != len(header):
            raise DraftError([FieldError("line 1", "names a column twice")])
        for cells in reader:
            if any(cells):
                place = f"line {reader.line_num}"
                before = len(problems)
                raw = _read_cells(header, cells, place, problems)
                if len(problems) == before:
                    rows.append((place, raw))
    except csv.Error as error:
        raise DraftError([FieldError(f"line {reader.line_num}", f"is not CSV: {error}")]) from None
    return rows


def _read_cells(
    header: Sequence[str], cells: Sequence[str], place: str, problems: list[FieldError]
) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    if len(cells) != len(header):
        problems.append(FieldError(place, f"has {len(cells)} columns, the header {len(header)}"))
        return raw
    for member, cell in zip(header, cells, strict=True):
        text = cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell
        if text.strip() == "":
            continue
        try:
            raw[member] = read_cell(member, text)
        except ValueError as error:
            problems.append(FieldError(f"{place}: {_name(member)}", str(error)))
    return raw


def _read_json(text: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DraftError([FieldError("", f"is not JSON: {str(error)[:100]}")]) from None
    rows = document.get("data") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DraftError([FieldError("", 'must be a list of objects, or {"data": [...]}')])
    return [(f"entry {number}", row) for number, row in enumerate(rows, 1)]


def _guard(cell: str) -> str:
    # A spreadsheet would run a name such as =HYPERLINK(...) as a formula.
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _name(member: str) -> str:
    return member.encode("unicode_escape").decode()[:64]
