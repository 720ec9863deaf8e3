"""Keys as admins handle them: roles, owners, revisions, and answers that wait for the gateways."""

import asyncio
import time
from dataclasses import replace

import pytest

from gateway_proxy.admin import gateways
from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.problem import Conflict, Invalid, NotAllowed, NotFound, Stale
from gateway_proxy.core.ids import new_id
from gateway_proxy.keys.secret import looks_like_secret
from gateway_proxy.storage.key_search import KeyQuery
from gateway_proxy.storage.registry import Gateway
from tests.support.admin import FOREIGN, HOME, PEOPLE, actor_of

OWNER, MEMBER, VIEWER = actor_of(Role.OWNER), actor_of(Role.MEMBER), actor_of(Role.VIEWER)
OTHER_MEMBER = replace(MEMBER, email="another@example.com", name="another@example.com")


async def make(scene, actor=OWNER, **members) -> str:
    return (await scene.admin.keys.create(actor, {"name": "key", **members})).key["id"]


async def attach(scene, applied_seq: int = 0) -> Gateway:
    now_ms = scene.clock.now_ms()
    gateway = Gateway(new_id("gtw"), "edge", HOME, "1.0", now_ms, now_ms, applied_seq, "")
    return await scene.store.registry.heartbeat(gateway)


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.MEMBER])
async def test_what_one_makes_is_one_s_own(scene, role: Role) -> None:
    made = await scene.admin.keys.create(actor_of(role), {"name": "mine"})
    assert made.key["owner"] == PEOPLE[role]
    assert looks_like_secret(made.secret)
    assert made.secret not in repr(made)


async def test_only_managers_make_keys_for_others(scene) -> None:
    assert (await scene.admin.keys.create(OWNER, {"name": "a", "owner": MEMBER.email})).key[
        "owner"
    ] == MEMBER.email
    with pytest.raises(NotAllowed):
        await scene.admin.keys.create(MEMBER, {"name": "a", "owner": OWNER.email})
    with pytest.raises(NotAllowed):
        await scene.admin.keys.create(VIEWER, {"name": "a"})
    with pytest.raises(Invalid, match="not a member"):
        await scene.admin.keys.create(OWNER, {"name": "a", "owner": "eve@example.com"})


async def test_a_token_of_nobody_makes_keys_of_the_only_owner(scene) -> None:
    nobody = replace(OWNER, email="", member_id="", name="token:ci")
    assert (await scene.admin.keys.create(nobody, {"name": "a"})).key["owner"] == OWNER.email
    await scene.store.registry.add_member(HOME, "second@example.com", role="owner")
    assert (await scene.admin.keys.create(nobody, {"name": "b"})).key["owner"] == "local"


async def test_members_see_their_own_keys_only(scene) -> None:
    mine, other = await make(scene, MEMBER), await make(scene)
    keys = scene.admin.keys
    assert [key["id"] for key in (await keys.search(MEMBER, KeyQuery(owner=OWNER.email))).keys] == [mine]
    assert (await keys.search(OWNER, KeyQuery())).total == 2
    assert (await keys.search(VIEWER, KeyQuery())).total == 2
    for act in (keys.find, keys.deactivate, keys.delete):
        with pytest.raises(NotFound):
            await act(MEMBER, other)
    with pytest.raises(NotFound):
        await keys.find(OTHER_MEMBER, mine)


async def test_foreign_keys_are_like_missing_ones(scene) -> None:
    foreign = await make(scene, actor_of(Role.OWNER, FOREIGN))
    keys = scene.admin.keys
    texts = set()
    for key_id in (foreign, "key_" + "0" * 26):
        for act in (
            keys.find(OWNER, key_id), keys.update(OWNER, key_id, {"name": "x"}), keys.rotate(OWNER, key_id, {}),
            keys.deactivate(OWNER, key_id), keys.activate(OWNER, key_id), keys.revoke(OWNER, key_id),
            keys.delete(OWNER, key_id),
        ):  # fmt: skip
            with pytest.raises(NotFound) as caught:
                await act
            texts.add(caught.value.detail.replace(key_id, "ID"))
    assert len(texts) == 1
    assert (await keys.search(OWNER, KeyQuery(organization=FOREIGN))).total == 0


async def test_viewers_change_nothing(scene) -> None:
    key_id, keys = await make(scene), scene.admin.keys
    for act in (
        keys.update(VIEWER, key_id, {"name": "x"}), keys.update(VIEWER, key_id, {"owner": VIEWER.email}),
        keys.rotate(VIEWER, key_id, {}), keys.deactivate(VIEWER, key_id), keys.activate(VIEWER, key_id),
        keys.revoke(VIEWER, key_id), keys.delete(VIEWER, key_id),
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            await act
    assert (await keys.find(VIEWER, key_id))["revision"] == 1


async def test_only_managers_hand_keys_over(scene) -> None:
    key_id, keys = await make(scene, MEMBER), scene.admin.keys
    with pytest.raises(NotAllowed):
        await keys.update(MEMBER, key_id, {"owner": OWNER.email})
    assert (await keys.update(MEMBER, key_id, {"owner": MEMBER.email, "name": "x"}))["name"] == "x"
    assert (await keys.update(OWNER, key_id, {"owner": OWNER.email}))["owner"] == OWNER.email
    with pytest.raises(NotFound):
        await keys.find(MEMBER, key_id)


async def test_a_stale_revision_changes_nothing(scene) -> None:
    key_id, keys = await make(scene), scene.admin.keys
    await keys.update(OWNER, key_id, {"name": "second"}, [1])
    for act in (
        keys.update(OWNER, key_id, {"name": "x"}, [1]), keys.rotate(OWNER, key_id, {}, [1]),
        keys.deactivate(OWNER, key_id, [1]), keys.revoke(OWNER, key_id, [1]), keys.delete(OWNER, key_id, [1]),
    ):  # fmt: skip
        with pytest.raises(Stale):
            await act
    assert (await keys.find(OWNER, key_id))["revision"] == 2


async def test_an_expired_key_is_not_activated(scene) -> None:
    key_id = await make(scene, expires_in="30d")
    scene.clock.advance(31 * 86_400)
    with pytest.raises(Conflict):
        await scene.admin.keys.activate(OWNER, key_id)


async def test_mistakes_have_paths(scene) -> None:
    with pytest.raises(Invalid) as caught:
        await scene.admin.keys.create(
            OWNER, {"name": "", "budget_usd": 2.5, "mcp": {"servers": ["A"]}, "zz": 1}
        )
    assert [error.path for error in caught.value.errors] == ["name", "budget_usd", "mcp.servers[0]", "zz"]
    with pytest.raises(Invalid):
        await scene.admin.keys.search(OWNER, KeyQuery(cursor="not ours"))


async def test_create_and_rotate_answer_when_the_gateways_have_it(scene) -> None:
    gateway = await attach(scene)
    created = asyncio.gather(scene.admin.keys.create(OWNER, {"name": "a"}))
    while not await scene.store.keys.last_sequence():
        await asyncio.sleep(0.001)
    assert not created.done()
    await scene.store.registry.heartbeat(replace(gateway, applied_seq=1))
    [made] = await created
    assert made.key["live_on"] == {"gateways": 1, "acked": 1}
    rotated = asyncio.gather(scene.admin.keys.rotate(OWNER, made.key["id"], {}))
    while await scene.store.keys.last_sequence() < 2:
        await asyncio.sleep(0.001)
    assert not rotated.done()
    await scene.store.registry.heartbeat(replace(gateway, applied_seq=2))
    [turned] = await rotated
    assert turned.secret != made.secret
    assert turned.key["live_on"] == {"gateways": 1, "acked": 1}


async def test_a_gateway_that_hangs_is_not_waited_for_beyond_the_limit(scene, monkeypatch) -> None:
    assert gateways.LIVE_WAIT_SECONDS == 1.0
    monkeypatch.setattr(gateways, "LIVE_WAIT_SECONDS", 0.1)
    await attach(scene)
    started = time.monotonic()
    made = await scene.admin.keys.create(OWNER, {"name": "a"})
    assert 0.1 <= time.monotonic() - started < 1.0
    assert made.key["live_on"] == {"gateways": 1, "acked": 0}


async def test_an_import_can_be_repeated_but_brings_nothing_back(scene) -> None:
    keys, key_id = scene.admin.keys, "key_" + "1" * 26
    made = await keys.import_one(OWNER, {"id": key_id, "name": "a", "owner": MEMBER.email})
    assert (made.key["id"], made.key["owner"], looks_like_secret(made.secret)) == (key_id, MEMBER.email, True)
    with pytest.raises(Conflict, match="exists already"):
        await keys.import_one(OWNER, {"id": key_id, "name": "a"})
    await keys.delete(OWNER, key_id)
    with pytest.raises(Conflict, match="was deleted"):
        await keys.import_one(OWNER, {"id": key_id, "name": "a"})
    for document in ([], {"name": "a"}, {"id": "x", "name": "a"}, {"id": 5, "name": "a"}):
        with pytest.raises(Invalid, match="id:"):
            await keys.import_one(OWNER, document)
    for actor in (MEMBER, VIEWER):
        with pytest.raises(NotAllowed):
            await keys.import_one(actor, {"id": "key_" + "2" * 26, "name": "a"})
