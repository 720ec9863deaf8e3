import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientError, web
from aiohttp.pytest_plugin import AiohttpClient

from dashboard.exports import safe_cell, send_table, wants_file


async def many(count: int) -> AsyncIterator[dict[str, Any]]:
    for number in range(count):
        yield {"name": f"row {number}", "inner": {"cost": "1.50"}, "list": [1, "ü"], "none": None, "extra": 1}


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> Any:
    async def page(request: web.Request) -> web.StreamResponse:
        if not wants_file(request):
            return web.Response(text="page")
        if request.query.get("rows"):
            return await send_table(request, "t", ("name",), [{"name": request.query["rows"]}])
        return await send_table(request, "things", ("name", "inner.cost", "list", "none"), many(1201))

    application = web.Application()
    application.add_routes([web.get("/", page)])
    return await aiohttp_client(application)


async def test_csv_has_every_row_and_the_columns_asked_for(client: Any) -> None:
    response = await client.get("/?format=csv")
    assert response.headers["Content-Disposition"] == 'attachment; filename="things.csv"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.content_type == "text/csv"
    rows = list(csv.reader(io.StringIO(await response.text())))
    assert rows[0] == ["name", "inner.cost", "list", "none"]
    assert len(rows) == 1202
    assert rows[1201] == ["row 1200", "1.50", '[1, "ü"]', ""]


async def test_json_has_every_row(client: Any) -> None:
    data = json.loads(await (await client.get("/?format=json")).text())["data"]
    assert len(data) == 1201
    assert data[0] == {"name": "row 0", "inner.cost": "1.50", "list": [1, "ü"], "none": None}


async def test_another_format_is_refused_and_none_is_the_page(client: Any) -> None:
    assert (await client.get("/?format=xlsx")).status == 400
    assert await (await client.get("/")).text() == "page"


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-"]
)
async def test_no_cell_is_a_formula(client: Any, text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    response = await client.get("/", params={"format": "csv", "rows": text})
    rows = list(csv.reader(io.StringIO(await response.text(), newline="")))
    assert rows[1] == [f"'{text}"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [("-5", "-5"), (-5, "-5"), ("+1.25", "+1.25"), (True, "true"), (0, "0"), ("a=b", "a=b")],
)
def test_numbers_and_plain_texts_stay(value: object, cell: str) -> None:
    assert safe_cell(value) == cell


async def test_what_fails_on_the_way_breaks_the_connection_off(aiohttp_client: AiohttpClient) -> None:
    async def fail() -> AsyncIterator[dict[str, Any]]:
        yield {"name": "first"}
        raise RuntimeError("the store went away")

    async def page(request: web.Request) -> web.StreamResponse:
        return await send_table(request, "t", ("name",), fail())

    application = web.Application()
    application.add_routes([web.get("/", page)])
    client = await aiohttp_client(application)
    with pytest.raises(ClientError):
        response = await client.get("/?format=csv")
        await response.read()
