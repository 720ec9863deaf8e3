"""Tables as files: `?format=csv` or `?format=json` at the address of any list, streamed row by row.

A spreadsheet runs a cell that begins like a formula, and names, models and addresses are chosen by others: such a
cell gets an apostrophe in front (https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import io
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from dashboard.guard import HEADERS

_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?", re.ASCII)
_ROWS_AT_ONCE = 500
Row = Mapping[str, Any]


def wants_file(request: web.Request) -> bool:
    """Whether the address asks for a file instead of the page. Raises HTTPBadRequest for a format there is not."""
    wanted = request.query.get("format", "")
    if wanted not in ("", "csv", "json"):
        raise web.HTTPBadRequest
    return bool(wanted)


async def send_table(
    request: web.Request, name: str, columns: Sequence[str], rows: Iterable[Row] | AsyncIterable[Row]
) -> web.StreamResponse:
    """The rows as `name`.csv or `name`.json, with these members in this order; `a.b` is the member b of a."""
    as_json = request.query.get("format") == "json"
    response = web.StreamResponse(headers={**HEADERS, "Cache-Control": "no-store"})
    response.content_type = "application/json" if as_json else "text/csv"
    response.charset = "utf-8"
    suffix = "json" if as_json else "csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    await response.prepare(request)
    write = _write_json if as_json else _write_csv
    async for piece in write(columns, _each(rows)):
        await response.write(piece.encode())
    await response.write_eof()
    return response


def safe_cell(value: object) -> str:
    """A CSV cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    text = str(value)
    if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def _pick(row: Row, column: str) -> Any:
    value: Any = row
    for member in column.split("."):
        value = value.get(member) if isinstance(value, Mapping) else None
    return value


async def _each(rows: Iterable[Row] | AsyncIterable[Row]) -> AsyncIterator[Row]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


async def _write_csv(columns: Sequence[str], rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    held = 0
    async for row in rows:
        writer.writerow([safe_cell(_pick(row, column)) for column in columns])
        held += 1
        if held == _ROWS_AT_ONCE:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
            held = 0
    yield text.getvalue()


async def _write_json(columns: Sequence[str], rows: AsyncIterator[Row]) -> AsyncIterator[str]:
    yield '{"data":['
    between = ""
    async for row in rows:
        shown = {column: _pick(row, column) for column in columns}
        yield between + json.dumps(shown, ensure_ascii=False)
        between = ",\n"
    yield "]}\n"
