"""What is sent is judged before anything is done, and every mistake has its path."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.api.operation import Answer, Call, Operation, clip_path, perform
from gateway_proxy.admin.api.shapes import Asked
from gateway_proxy.admin.problem import Invalid, NotFound, Problem
from tests.support.admin import actor_of


class Filter(Asked):
    size: int = Field(5, ge=1)
    name: str | None = None


class Inner(Asked):
    colours: list[int] = []


class Thing(Asked):
    name: str
    inner: Inner = Inner()


async def echo(call: Call) -> Answer:
    return Answer((dict(call.ids), call.query, call.body, call.revisions))


def operation(**members) -> Operation:
    return Operation(
        method="POST", path="/keys/{key_id}", name="echo", summary="Echo", handler=echo, **members
    )


async def send(of: Operation, *, key_id: str = "key_" + "0" * 26, **sent):
    answer = await perform(of, None, actor_of(Role.OWNER), ids={"key_id": key_id}, **sent)  # type: ignore[arg-type]
    return answer.body


async def mistakes(of: Operation, **sent) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        await send(of, **sent)
    return {error.path: error.message for error in caught.value.errors}


def test_a_table_line_knows_its_parameters() -> None:
    assert operation().parameters == ["key_id"]
    assert operation().tag == "keys"


async def test_what_is_right_arrives() -> None:
    ids, query, body, revisions = await send(
        operation(query=Filter, body=Thing), query=[("size", "7")], document={"name": "a"}, revisions=[3]
    )
    assert (ids["key_id"][:4], query.size, query.name, body.name, revisions) == ("key_", 7, None, "a", [3])


@pytest.mark.parametrize(
    "key_id", ["", "x", "key_", "org_" + "0" * 26, "key_" + "U" * 26, "key_0\n", "key_' OR 1=1"]
)
async def test_what_is_no_id_does_not_exist(key_id: str) -> None:
    with pytest.raises(NotFound):
        await send(operation(), key_id=key_id)


async def test_mistakes_in_the_query() -> None:
    of = operation(query=Filter)
    assert await mistakes(of, query=[("size", "0"), ("zz", "1")]) == {
        "size": "should be greater than or equal to 1",
        "zz": "is unknown",
    }
    assert list(await mistakes(of, query=[("size", "1"), ("size", "1")])) == ["size"]
    assert await mistakes(operation(), query=[("zz", "")]) == {"zz": "is unknown"}


async def test_mistakes_in_the_body() -> None:
    of = operation(body=Thing)
    assert await mistakes(of, document={"inner": {"colours": [1, "x"], "zz": 1}}) == {
        "name": "is required",
        "inner.colours[1]": "should be a valid integer, unable to parse string as an integer",
        "inner.zz": "is unknown",
    }
    assert (await mistakes(of, document=[]))[""] == "must be a JSON object"
    assert (await mistakes(of))[""] == "must be a JSON object"


async def test_an_optional_body_may_be_left_out_and_others_are_the_service_s_to_judge() -> None:
    assert (await send(operation(body=Inner, body_optional=True)))[2] == Inner()
    assert (await send(operation(body=Thing, judged_by_service=True), document=[1]))[2] == [1]


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine


@relaxed
@given(st.dictionaries(st.text(), st.text(), min_size=1))
async def test_hostile_names_become_short_paths(query: dict[str, str]) -> None:
    try:
        await send(operation(query=Filter), query=list(query.items()))
    except Problem as problem:
        assert isinstance(problem, Invalid)
        assert all(
            (len(error.path) <= 65 and error.path.isascii()) or "…" in error.path for error in problem.errors
        )


def test_paths_are_printable() -> None:
    assert clip_path("a\x1b[2J") == "a\\x1b[2J"
    assert len(clip_path("x" * 1000)) == 65
