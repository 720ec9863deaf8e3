"""The request log for admins: whose rows one sees, one request with its attempts, and watching."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.logs import LATEST
from gateway_proxy.admin.problem import Invalid, NotFound
from gateway_proxy.core.ledger import BodyRow
from gateway_proxy.storage.reports import LogQuery
from tests.support.admin import FOREIGN, PEOPLE, actor_of, fill_books, request_id

OWNER, MEMBER = actor_of(Role.OWNER), actor_of(Role.MEMBER)


@pytest.fixture
async def logs(scene):
    await fill_books(scene.store, scene.clock)
    return scene.admin.logs


async def seen(logs, actor, **query) -> list[str]:
    return [row["request_id"] for row in (await logs.search(actor, LogQuery(**query))).data]


async def test_everybody_sees_what_is_theirs(logs) -> None:
    ours = [request_id(number) for number in (3, 2, 1, 0)]
    assert await seen(logs, OWNER) == await seen(logs, actor_of(Role.VIEWER)) == ours
    assert await seen(logs, MEMBER) == await seen(logs, MEMBER, owner=OWNER.email) == ours[1:2]
    assert await seen(logs, actor_of(Role.OWNER, FOREIGN)) == [request_id(4)]
    assert len(await seen(logs, actor_of(Role.OWNER, None))) == 5
    assert await seen(logs, OWNER, organization=FOREIGN) == ours


async def test_one_request_with_its_attempts(logs) -> None:
    shown = await logs.find(OWNER, request_id(0))
    assert shown["cost_usd"] == "0.25"
    assert shown["metadata"] == {"team": "blue"}
    [attempt] = shown["ledger"]
    assert attempt["charged_usd"] == "0.25"
    assert attempt["usage"]["input"] == 100


@pytest.mark.parametrize(("actor", "number"), [(OWNER, 4), (MEMBER, 0), (OWNER, 9)])
async def test_foreign_requests_are_like_missing_ones(logs, actor, number: int) -> None:
    with pytest.raises(NotFound):
        await logs.find(actor, request_id(number))
    assert (await logs.find(MEMBER, request_id(2)))["owner"] == PEOPLE[Role.MEMBER]


async def test_watching_begins_at_the_end(logs, scene) -> None:
    page = await logs.follow(OWNER, LogQuery(), after=LATEST)
    assert page.data == []
    await fill_books(scene.store, scene.clock, first=10)
    news = await logs.follow(OWNER, LogQuery(), after=page.next_cursor)
    assert [row["request_id"] for row in news.data] == [request_id(number) for number in (10, 11, 12, 13)]
    again = await logs.follow(OWNER, LogQuery(), after=news.next_cursor)
    assert (again.data, again.next_cursor is not None) == ([], True)


async def test_foreign_cursors_are_refused(logs) -> None:
    with pytest.raises(Invalid, match="cursor"):
        await logs.search(OWNER, LogQuery(), cursor="x")
    with pytest.raises(Invalid, match="after"):
        await logs.follow(OWNER, LogQuery(), after="x")


@pytest.mark.parametrize(
    ("actor", "bodies"),
    [
        (OWNER, "shown"),
        (actor_of(Role.ADMIN), "shown"),
        (MEMBER, "shown"),  # whose key it was
        (actor_of(Role.OWNER, None), "shown"),
        (actor_of(Role.VIEWER), "hidden"),
    ],
)
async def test_bodies_are_for_managers_and_the_keys_owner(logs, scene, actor, bodies: str) -> None:
    await scene.store.bodies.add([BodyRow(request_id(2), 1, "asked", None)])
    shown = await logs.find(actor, request_id(2))
    assert shown["bodies"] == bodies and shown["response_body"] is None
    assert shown["request_body"] == ("asked" if bodies == "shown" else None)
    if actor is not MEMBER:
        assert (await logs.find(actor, request_id(0)))["bodies"] == "none"
