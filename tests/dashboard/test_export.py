import csv
import io
import json

import pytest

from dashboard.export import csv_cell
from tests.support.dashboard import OWNER, Dashboard

KEYS = "/configuration/api-keys"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (True, "true"), (-1, -1), (["a", "b"], '["a","b"]'), ({"é": 1}, '{"é":1}'), ("a=b", "a=b")],
)
def test_cells(value: object, cell: object) -> None:
    assert csv_cell(value) == cell


async def test_csv_holds_every_page(dashboard: Dashboard) -> None:
    for index in range(30):
        await dashboard.admin.keys.create(OWNER, {"name": f'Key "{index}", ünï'})
    await dashboard.admin.keys.create(OWNER, {"name": "=cmd()"})
    page = await dashboard.get(f"{KEYS}/export?format=csv")
    assert page.response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert page.response.headers["Content-Disposition"] == 'attachment; filename="api-keys.csv"'
    assert page.response.headers["X-Content-Type-Options"] == "nosniff"
    assert page.response.headers["Cache-Control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert len(rows) == 31
    assert {"'=cmd()", 'Key "7", ünï'} <= {row["name"] for row in rows}


async def test_json_keeps_filters(dashboard: Dashboard) -> None:
    for name in ("One", "Two"):
        await dashboard.admin.keys.create(OWNER, {"name": name})
    data = json.loads((await dashboard.get(f"{KEYS}/export?format=json&search=two")).text)["data"]
    assert [key["name"] for key in data] == ["Two"]


async def test_an_empty_list_is_a_document_too(dashboard: Dashboard) -> None:
    assert json.loads((await dashboard.get(f"{KEYS}/export?format=json")).text) == {"data": []}


async def test_another_format_is_refused(dashboard: Dashboard) -> None:
    assert (await dashboard.get(f"{KEYS}/export?format=exe")).status == 400
