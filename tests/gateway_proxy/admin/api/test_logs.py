"""`/logs` over HTTP."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.ledger import BodyRow
from tests.support.admin import PEOPLE, actor_of, fill_books, key_id, request_id

OWNER = actor_of(Role.OWNER)


@pytest.fixture(autouse=True)
async def _books(scene) -> None:
    await fill_books(scene.store, scene.clock)


async def numbers(api, query: str) -> list[int]:
    _, page, _ = await api.call("GET", f"/logs?{query}", OWNER)
    return [int(row["request_id"][4:]) for row in page["data"]]


async def test_filters(api, scene) -> None:
    days = [format_time(scene.clock.now_ms() - 86_400_000 * age) for age in range(6)]
    assert await numbers(api, "") == [3, 2, 1, 0]
    assert await numbers(api, f"from={days[4]}&to={days[2]}") == [2, 1]
    assert await numbers(api, f"key={key_id(2)}") == [2]
    assert await numbers(api, f"key={key_id(4)}") == []
    assert await numbers(api, "model=claude") == [3, 1]
    assert await numbers(api, "provider=openai&operation=chat") == [3, 2, 1, 0]
    assert await numbers(api, "status=500") == await numbers(api, "errors=true") == [3]
    assert await numbers(api, "error_code=upstream_broken") == [3]
    assert await numbers(api, f"owner={PEOPLE[Role.MEMBER]}") == [2]


async def test_pages(api) -> None:
    _, first, _ = await api.call("GET", "/logs?limit=3", OWNER)
    _, second, _ = await api.call("GET", f"/logs?limit=3&cursor={first['next_cursor']}", OWNER)
    assert [len(first["data"]), len(second["data"]), second["next_cursor"]] == [3, 1, None]


async def test_watching(api, scene) -> None:
    _, page, _ = await api.call("GET", "/logs?after=latest", OWNER)
    await fill_books(scene.store, scene.clock, first=10)
    _, news, _ = await api.call("GET", f"/logs?after={page['next_cursor']}&limit=2", OWNER)
    assert [row["request_id"] for row in news["data"]] == [request_id(10), request_id(11)]
    status, problem, _ = await api.call("GET", "/logs?after=latest&cursor=1.1", OWNER)
    assert (status, problem["errors"][0]["path"]) == (422, "cursor")


async def test_a_request_has_its_attempts(api) -> None:
    _, shown, _ = await api.call("GET", f"/logs/{request_id(3)}", OWNER)
    assert [attempt["charged_usd"] for attempt in shown["ledger"]] == ["0.25"]
    assert (await api.call("GET", f"/logs/{request_id(4)}", OWNER))[0] == 404


async def test_a_request_has_its_bodies_where_they_are_kept(api, scene) -> None:
    _, shown, _ = await api.call("GET", f"/logs/{request_id(3)}", OWNER)
    assert (shown["bodies"], shown["request_body"], shown["response_body"]) == ("none", None, None)
    await scene.store.bodies.add([BodyRow(request_id(3), 1, "asked", "told")])
    _, shown, _ = await api.call("GET", f"/logs/{request_id(3)}", OWNER)
    assert (shown["bodies"], shown["request_body"], shown["response_body"]) == ("shown", "asked", "told")
