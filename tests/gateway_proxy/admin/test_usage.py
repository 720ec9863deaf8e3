"""Usage reports: sums that add up, by any group, and only over what the actor may see."""

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.usage import UsageQuery
from tests.support.admin import FOREIGN, HOME, PEOPLE, actor_of, fill_books, key_id

OWNER, MEMBER = actor_of(Role.OWNER), actor_of(Role.MEMBER)


@pytest.fixture
async def usage(scene):
    await fill_books(scene.store, scene.clock)
    return scene.admin.usage


def column(report, *names: str) -> list[tuple]:
    return [tuple(row[name] for name in names) for row in report.data]


async def report(usage, actor=OWNER, **query):
    return await usage.report(actor, UsageQuery(**query))


async def test_without_groups_there_are_totals(usage) -> None:
    told = await report(usage)
    assert told.data == []
    assert (told.totals["requests"], told.totals["errors"], told.totals["cost_usd"]) == (4, 1, "1.00")


@pytest.mark.parametrize(
    "group", ["key", "owner", "model", "provider", "day", "hour", "metadata.team", "metadata.x"]
)
async def test_groups_add_up_to_the_totals(usage, group: str) -> None:
    told = await report(usage, group_by=[group])
    assert sum(row["requests"] for row in told.data) == told.totals["requests"] == 4
    assert all(group in row for row in told.data)


async def test_keys_have_names_and_metadata_is_the_key_s(usage) -> None:
    told = await report(usage, group_by=["key"])
    assert sorted(column(told, "key", "key_name")) == [(key_id(0), "alpha"), (key_id(2), "mine")]
    told = await report(usage, group_by=["metadata.team", "owner"])
    assert column(told, "metadata.team", "owner", "requests") == [
        ("blue", PEOPLE[Role.OWNER], 3),
        (None, PEOPLE[Role.MEMBER], 1),
    ]


async def test_of_deleted_keys_the_name_is_left(usage, scene) -> None:
    await scene.admin.keys.delete(OWNER, key_id(0))
    told = await report(usage, group_by=["key", "metadata.team"])
    assert ("alpha, deleted", None) in column(told, "key_name", "metadata.team")


async def test_times_come_in_order_and_the_rest_by_cost(usage) -> None:
    told = await report(usage, group_by=["day", "model"])
    days = [row["day"] for row in told.data]
    assert days == sorted(days)
    costs = [float(row["cost_usd"]) for row in (await report(usage, group_by=["model"])).data]
    assert costs == sorted(costs, reverse=True)


async def test_everybody_counts_what_is_theirs(usage) -> None:
    assert (await report(usage, MEMBER)).totals["requests"] == 1
    assert (await report(usage, MEMBER, owner=OWNER.email)).totals["requests"] == 1
    assert (await report(usage, actor_of(Role.OWNER, FOREIGN))).totals["requests"] == 1
    assert (await report(usage, actor_of(Role.OWNER, None))).totals["requests"] == 5
    assert (await report(usage, key_id=key_id(4))).totals["requests"] == 0
    assert HOME != FOREIGN


async def test_filters(usage) -> None:
    assert (await report(usage, key_id=key_id(0))).totals["requests"] == 3
    assert (await report(usage, owner=PEOPLE[Role.MEMBER])).totals["requests"] == 1
    assert (await report(usage, model="gpt-4o")).totals["requests"] == 2
    assert (await report(usage, provider="none")).totals["requests"] == 0


async def test_pages(usage) -> None:
    first = await report(usage, group_by=["model"], limit=1)
    second = await report(usage, group_by=["model"], limit=1, cursor=first.next_cursor)
    assert second.next_cursor is None
    assert first.totals == second.totals
    assert first.data != second.data


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"group_by": ["colour"]}, "group_by"),
        ({"group_by": ["metadata."]}, "group_by"),
        ({"group_by": ["key", "owner", "model", "provider", "day"]}, "group_by"),
        ({"start_ms": 5, "end_ms": 5}, "from"),
        ({"cursor": "x"}, "cursor"),
    ],
)
async def test_mistakes(usage, query: dict, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        await report(usage, **query)
    assert {error.path for error in caught.value.errors} == {path}
