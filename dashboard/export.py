"""Tables as files: CSV that no spreadsheet takes for a formula, or JSON as the admin API writes it. Rows are streamed."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiohttp import web

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_BUFFER_CHARS = 64 * 1024


async def send_table(
    request: web.Request,
    name: str,
    columns: Sequence[str],
    rows: AsyncIterator[Mapping[str, Any]],
) -> web.StreamResponse:
    """The rows as `name.csv`, or as `name.json` with `?format=json`. Raises HTTPBadRequest for another format."""
    wanted = request.query.get("format", "csv")
    if wanted not in ("csv", "json"):
        raise web.HTTPBadRequest
    response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}.{wanted}"'})
    response.content_type = "text/csv" if wanted == "csv" else "application/json"
    response.charset = "utf-8"
    await response.prepare(request)
    pieces = _csv_pieces(columns, rows) if wanted == "csv" else _json_pieces(rows)
    waiting, size = [], 0
    async for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BUFFER_CHARS:
            await response.write("".join(waiting).encode("utf-8", "replace"))
            waiting, size = [], 0
    await response.write("".join(waiting).encode("utf-8", "replace"))
    await response.write_eof()
    return response


def csv_cell(value: Any) -> Any:
    """The value as a cell; a text that a spreadsheet would run begins with an apostrophe instead."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


async def _csv_pieces(columns: Sequence[str], rows: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[str]:
    yield _csv_line(columns)
    async for row in rows:
        yield _csv_line([csv_cell(row[column]) for column in columns])


def _csv_line(cells: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


async def _json_pieces(rows: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[str]:
    before = '{"data":['
    async for row in rows:
        yield before + "\n" + json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        before = ","
    yield f"{before if before != ',' else ''}\n]}}\n"
