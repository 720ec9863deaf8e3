"""Acts for those who may see them, and the state of the gateways' own logs, checked where they stand."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.audit import RECHECK_MS, AuditAdmin
from gateway_proxy.admin.problem import Invalid, NotAllowed
from gateway_proxy.audit.chain import derive_key
from gateway_proxy.audit.log import AuditLog
from gateway_proxy.audit.read import list_files
from gateway_proxy.storage.changes import ChangeFilter, record_change
from gateway_proxy.storage.registry import Gateway
from tests.support.admin import FOREIGN, PEPPER, actor_of

OWNER = actor_of(Role.OWNER)
ALL = ChangeFilter()


@pytest.fixture
async def audit(scene, tmp_path: Path) -> AuditAdmin:
    """The service over a data folder of its own; ada made, renamed and deleted a key."""
    made = await scene.admin.keys.create(OWNER, {"name": "alpha"})
    await scene.admin.keys.update(OWNER, made.key["id"], {"name": "beta"})
    await scene.admin.keys.delete(OWNER, made.key["id"])
    async with scene.store.db.transaction() as tx:
        for organization in ("default", FOREIGN):
            await record_change(
                tx, scene.clock, "member.signed_in", organization=organization, actor="max", subject="mem_1",
                details="[]", ip="192.0.2.1",
            )  # fmt: skip
    (tmp_path / "audit").mkdir()
    return AuditAdmin(scene.store, scene.clock, PEPPER, tmp_path)


async def actions(audit: AuditAdmin, actor=OWNER, wanted: ChangeFilter = ALL) -> list[str]:
    return [act["action"] for act in (await audit.search(actor, wanted)).data]


async def test_readers_see_the_acts_of_their_organization(audit) -> None:
    ours = ["member.signed_in", "key.deleted", "key.updated", "key.created"]
    for role in (Role.OWNER, Role.ADMIN, Role.VIEWER):
        assert await actions(audit, actor_of(role)) == ours
    assert await actions(audit, actor_of(Role.OWNER, FOREIGN)) == ["member.signed_in"]
    assert len(await actions(audit, actor_of(Role.OWNER, None))) == 5
    with pytest.raises(NotAllowed):
        await actions(audit, actor_of(Role.MEMBER))
    with pytest.raises(NotAllowed):
        await audit.chains(actor_of(Role.MEMBER))


async def test_an_act_tells_who_did_what_when_and_what_was_before(audit) -> None:
    sign_in, _, renamed, _ = (await audit.search(OWNER, ALL)).data
    assert renamed["details"]["changes"]["name"] == ["alpha", "beta"]
    assert renamed["subject"].startswith("key_") and renamed["subject_name"] == "beta"  # also after its end
    assert renamed["actor"] == OWNER.name and renamed["id"].startswith("aud_")
    assert sign_in["subject"] == "mem_1" and sign_in["ip"] == "192.0.2.1"
    assert sign_in["details"] == {"text": []}


async def test_filters_and_pages(audit) -> None:
    assert await actions(audit, wanted=ChangeFilter(action="key.*", actor=OWNER.name)) == [
        "key.deleted", "key.updated", "key.created",
    ]  # fmt: skip
    first = await audit.search(OWNER, ALL, limit=3)
    second = await audit.search(OWNER, ALL, limit=3, cursor=first.next_cursor)
    assert [len(first.data), len(second.data), second.next_cursor] == [3, 1, None]
    for wrong in ("x", "-1", "1" * 30):
        with pytest.raises(Invalid):
            await audit.search(OWNER, ALL, cursor=wrong)


async def report(scene, gateway_id: str, head: object) -> None:
    await scene.store.registry.heartbeat(Gateway(gateway_id, "one", "default", "1", 0, 5, 0, "", str(head)))


async def test_a_local_log_is_checked_and_checked_anew_when_it_changed(scene, audit, tmp_path: Path) -> None:
    key = derive_key(PEPPER, "gtw_1")
    log = AuditLog(tmp_path / "audit" / "gtw_1", key, "gtw_1", scene.clock)
    log.open()
    log.append([{"change": n, "action": "key.updated"} for n in range(3)])
    await report(scene, "gtw_1", log.head)
    [chain] = await audit.chains(OWNER)
    assert chain["status"] == "ok" and chain["entries"] == 3 and chain["fault"] is None
    assert chain["head"] == str(log.head) and chain["checked_at"]
    [path] = list_files(log.folder)
    path.write_bytes(path.read_bytes().replace(b"key.updated", b"key.created", 1))
    assert (await audit.chains(OWNER))[0]["status"] == "ok"  # not read anew for every look
    scene.clock.advance(RECHECK_MS / 1000)
    [chain] = await audit.chains(OWNER)
    assert chain["status"] == "broken" and chain["fault"].startswith(f"{path.name}:1: this line was changed")


async def test_a_log_that_is_gone_is_broken_and_one_on_another_machine_is_elsewhere(scene, audit) -> None:
    await report(scene, "gtw_1", "3:" + "a" * 64)
    [chain] = await audit.chains(OWNER)
    assert chain["status"] == "broken" and "ends at line 0" in chain["fault"]
    distant = AuditAdmin(scene.store, scene.clock, PEPPER, None)
    assert (await distant.chains(OWNER))[0]["status"] == "elsewhere"
    assert (await distant.chains(replace(OWNER, organization=FOREIGN))) == []


async def test_a_log_that_cannot_be_read_is_broken(scene, audit, tmp_path: Path) -> None:
    (tmp_path / "audit" / "gtw_1" / "1.jsonl").mkdir(parents=True)
    await report(scene, "gtw_1", "3:" + "a" * 64)
    [chain] = await audit.chains(OWNER)
    assert chain["status"] == "broken" and "cannot be read" in chain["fault"]
