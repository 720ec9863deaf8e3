"""Tables as files: `?format=csv` or `?format=json` at the address of any list, streamed row by row.

A spreadsheet runs a cell that begins like a formula, and names, models and addresses are chosen by others: such a
cell gets an apostrophe in front (https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import io
import json
import logging
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from dashboard.guard import HEADERS

log = logging.getLogger("gateway_proxy.dashboard")
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
    source = _each(rows)
    # What refuses, refuses at the first row, while there still can be an error page.
    first = await anext(source, None)
    suffix = "json" if request.query.get("format") == "json" else "csv"
    response = web.StreamResponse(headers={**HEADERS, "Cache-Control": "no-store"})
    response.content_type = "application/json" if suffix == "json" else "text/csv"
    response.charset = "utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    await response.prepare(request)
    write = _write_json if suffix == "json" else _write_csv
    try:
        async for piece in write(columns, _chain(first, source)):
            await response.write(piece.encode())
        await response.write_eof()
    except ConnectionError:
        log.info("the download of %s was broken off by the client", name)
    except Exception:
        # The head has left: only a broken connection still says that rows are missing.
        log.exception("the download of %s failed", name)
        if request.transport is not None:
            request.transport.abort()
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
    if column in row:
        return row[column]
    value: Any = row
    for member in column.split("."):
        value = value.get(member) if isinstance(value, Mapping) else None
    return value


async def _chain(first: Row | None, rest: AsyncIterator[Row]) -> AsyncIterator[Row]:
    if first is not None:
        yield first
        async for row in rest:
            yield row


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
