"""`/usage` over HTTP."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import format_time
from tests.support.admin import actor_of, fill_books, key_id

OWNER = actor_of(Role.OWNER)


@pytest.fixture(autouse=True)
async def _books(scene) -> None:
    await fill_books(scene.store, scene.clock)


async def test_totals_and_groups(api) -> None:
    _, told, _ = await api.call("GET", "/usage?group_by=key,metadata.team", OWNER)
    assert told["totals"]["cost_usd"] == "1.00"
    assert {(row["key"], row["metadata.team"], row["requests"]) for row in told["data"]} == {
        (key_id(0), "blue", 3),
        (key_id(2), None, 1),
    }


async def test_spans_are_whole_hours(api, scene) -> None:
    days = [format_time(scene.clock.now_ms() - 86_400_000 * age) for age in range(6)]
    _, told, _ = await api.call("GET", f"/usage?from={days[4]}&to={days[3]}", OWNER)
    assert (told["from"], told["to"]) == (days[4], days[3])
    assert told["totals"]["requests"] == 2  # both hours are counted whole


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("group_by=zz", "group_by"),
        ("from=yesterday", "from"),
        ("zz=1", "zz"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ],
)
async def test_mistakes(api, query: str, path: str) -> None:
    status, problem, _ = await api.call("GET", f"/usage?{query}", OWNER)
    assert (status, [error["path"] for error in problem["errors"]]) == (422, [path])
