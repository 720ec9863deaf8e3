"""Who may ask what would become of a request, and which questions are none."""

from typing import Any

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.explain import read_question
from gateway_proxy.admin.problem import Invalid, NotFound, Unavailable
from gateway_proxy.core.ids import new_id
from tests.support.admin import actor_of


async def make(scene: Any, role: Role = Role.OWNER) -> str:
    return (await scene.admin.keys.create(actor_of(role), {"name": "a"})).key["id"]


async def test_the_gateway_is_asked(scene) -> None:
    key_id = await make(scene)
    told = await scene.admin.explain.explain(
        actor_of(Role.VIEWER), key_id, {"model": "gpt-4o", "ip": "::ffff:10.0.0.1", "endpoint": None}
    )
    assert told["allowed"] is False and [v["rule"] for v in told["verdicts"]] == ["status", "model"]
    assert scene.view.asked == (
        key_id, {"model": "gpt-4o", "endpoint": "chat", "provider": "", "mcp_tool": "", "ip": "10.0.0.1"}
    )  # fmt: skip


async def test_foreign_keys_and_missing_ones_look_alike(scene) -> None:
    key_id = await make(scene)
    for actor, asked in ((actor_of(Role.MEMBER), key_id), (actor_of(Role.OWNER, "elsewhere"), key_id),
                         (actor_of(Role.OWNER), new_id("key"))):  # fmt: skip
        with pytest.raises(NotFound):
            await scene.admin.explain.explain(actor, asked, {"model": "m"})


async def test_a_silent_gateway_is_unavailable(scene) -> None:
    key_id = await make(scene)
    scene.view.answers = False
    with pytest.raises(Unavailable):
        await scene.admin.explain.explain(actor_of(Role.OWNER), key_id, {"model": "m"})


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        (None, [""]),
        ({}, ["model"]),
        ({"model": 3, "more": 1}, ["more", "model"]),
        ({"model": "gpt-*"}, ["model"]),
        ({"model": "a b", "ip": "10.0.0.0/8", "endpoint": "mcp", "provider": "A", "mcp_tool": "github"},
         ["model", "provider", "endpoint", "ip", "mcp_tool"]),
    ],
)  # fmt: skip
def test_every_mistake_is_told(document: object, paths: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        read_question(document)
    assert [error.path for error in refused.value.errors] == paths
