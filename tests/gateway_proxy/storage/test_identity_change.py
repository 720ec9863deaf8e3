import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store, StoreConflict


async def test_organizations_and_members_are_made_once(store: Store) -> None:
    async with store.identity.change() as change:
        assert not await change.has_organization("acme")
        await change.add_organization("acme")
        await change.ensure_organization("acme")
        assert await change.has_organization("acme")
        await change.add_member("acme", "ada@x.de", "Ada", "owner")
        assert (await change.count_owners("acme"), await change.count_owners("default")) == (1, 0)
    for again in ("organization", "member"):
        with pytest.raises(StoreConflict, match="already"):
            async with store.identity.change() as change:
                if again == "organization":
                    await change.add_organization("acme")
                await change.add_member("acme", "ada@x.de", "", "member")


async def test_what_fails_half_way_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError):
        async with store.identity.change() as change:
            await change.add_member("acme", "ada@x.de", "Ada", "owner")
            assert await change.has_members()
            raise RuntimeError
    assert not await store.identity.has_members()


async def test_a_removed_member_leaves_nothing_to_come_in_by(store: Store, clock: FakeClock) -> None:
    later = clock.now_ms() + 1000
    async with store.identity.change() as change:
        ada = await change.add_member("default", "ada@x.de", "Ada", "owner")
        await change.save_member(ada.id, "Ada L.", "admin")
        await change.set_password(ada.id, "hash")
        await change.add_session("s", ada.id, later, "", "")
        await change.add_link("l", "reset", "default", ada.id, later)
        await change.add_token(
            "tok_1", "t", pepper_id="p", preview="", organization="default", name="", role="admin",
            member_id=ada.id, expires_at=None,
        )  # fmt: skip
        assert await change.link_identity("https://id", "subject", ada.id)
    found = await store.identity.find_account(ada.id)
    assert found is not None and (found.name, found.role) == ("Ada L.", "admin")
    async with store.identity.change() as change:
        await change.delete_member(ada.id)
    identity = store.identity
    assert await identity.find_session("s") is None
    assert await identity.find_link("l", "reset") is None
    assert await identity.find_token_by_digest("t") is None
    assert await identity.find_by_subject("https://id", "subject") == []


async def test_a_hash_is_replaced_only_where_it_is_still_the_old_one(store: Store) -> None:
    async with store.identity.change() as change:
        ada = await change.add_member("default", "ada@x.de", "", "owner")
        await change.set_password(ada.id, "one")
        await change.replace_hash(ada.id, "other", "two")
        unchanged = await change.find_account(ada.id)
        await change.replace_hash(ada.id, "one", "three")
        changed = await change.find_account(ada.id)
    assert unchanged is not None and unchanged.password_hash == "one"
    assert changed is not None and changed.password_hash == "three"


async def test_a_link_is_used_once_in_time_and_for_its_purpose(store: Store, clock: FakeClock) -> None:
    async with store.identity.change() as change:
        ada = await change.add_member("default", "ada@x.de", "", "owner")
        await change.add_link("one", "invite", "default", ada.id, clock.now_ms() + 1000)
        await change.add_link("two", "invite", "default", ada.id, clock.now_ms() + 1000)
        assert await change.use_link("one", "invite") is None, "the newer one took its place"
        assert await change.use_link("two", "reset") is None
        assert await change.use_link("two", "invite") == ("default", ada.id)
        assert await change.use_link("two", "invite") is None
        await change.add_link("three", "setup", "default", None, clock.now_ms() + 1000)
    assert await store.identity.find_link("three", "setup") == ("default", None)
    clock.advance(1)
    assert await store.identity.find_link("three", "setup") is None
    async with store.identity.change() as change:
        assert await change.use_link("three", "setup") is None


async def test_sessions_end_one_all_or_all_others(store: Store, clock: FakeClock) -> None:
    later = clock.now_ms() + 1000
    async with store.identity.change() as change:
        ada = await change.add_member("default", "ada@x.de", "", "owner")
        for digest in ("a1", "b2", "c3", "d4"):
            await change.add_session(digest, ada.id, later, "", "")
        assert await change.delete_session("a1")
        assert not await change.delete_session("a1")
        assert await change.delete_sessions(ada.id, but="b") == 2
    assert [session.digest for session in await store.identity.list_sessions(ada.id)] == ["b2"]
    clock.advance(1)
    async with store.identity.change() as change:
        await change.add_session("e5", ada.id, later + 1000, "", "")
    assert [session.digest for session in await store.identity.list_sessions(ada.id)] == ["e5"]
    async with store.identity.change() as change:
        assert await change.delete_sessions(ada.id) == 1


async def test_an_issuer_knows_a_member_by_one_subject(store: Store) -> None:
    async with store.identity.change() as change:
        ada = await change.add_member("default", "ada@x.de", "", "owner")
        assert await change.link_identity("https://id", "one", ada.id)
        assert await change.link_identity("https://id", "one", ada.id)
        assert not await change.link_identity("https://id", "two", ada.id)
        assert await change.link_identity("https://other", "two", ada.id)


async def test_acts_are_recorded_with_their_act(store: Store) -> None:
    async with store.identity.change() as change:
        await change.record(
            "member.added", organization="acme", subject="mem_1", actor="cli", ip="", details={"ä": 1}
        )
        assert await change.delete_token("tok_none") is False
    row = (await store.keys.list_changes())[0]
    assert (row.action, row.organization, row.subject, row.actor, row.details_json) == (
        "member.added", "acme", "mem_1", "cli", '{"ä":1}',
    )  # fmt: skip
