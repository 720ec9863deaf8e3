from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import Store
from gateway_proxy.storage.identity_change import Account


async def add(store: Store, email: str, organization: str = "default") -> Account:
    async with store.identity.change() as change:
        return await change.add_member(organization, email, "", "member")


async def test_accounts_are_found_by_id_address_and_organization(store: Store) -> None:
    identity = store.identity
    assert not await identity.has_members()
    ada, acme, bob = (
        await add(store, "ada@x.de"),
        await add(store, "ada@x.de", "acme"),
        await add(store, "bob@x.de"),
    )
    assert await identity.has_members()
    assert await identity.find_account(ada.id) == ada
    assert await identity.find_account("mem_none") is None
    assert await identity.find_accounts("ada@x.de") == [acme, ada]
    assert await identity.list_accounts("default") == [ada, bob]
    assert await identity.list_accounts(None) == [acme, ada, bob]


async def test_credentials_make_a_member_active(store: Store, clock: FakeClock) -> None:
    ada = await add(store, "ada@x.de")
    assert not ada.is_active
    async with store.identity.change() as change:
        await change.set_password(ada.id, "hash-canary")
    found = await store.identity.find_account(ada.id)
    assert found is not None and found.is_active and found.password_hash == "hash-canary"
    assert found.last_sign_in_at is None and "hash-canary" not in repr(found)
    async with store.identity.change() as change:
        await change.add_session("d1", ada.id, clock.now_ms() + 1000, "", "")
    found = await store.identity.find_account(ada.id)
    assert found is not None and (found.last_sign_in_at, found.password_hash) == (
        clock.now_ms(),
        "hash-canary",
    )


async def test_sessions_are_found_used_and_listed(store: Store, clock: FakeClock) -> None:
    ada = await add(store, "ada@x.de")
    first = clock.now_ms()
    async with store.identity.change() as change:
        for digest in ("a" * 64, "b" * 64):
            await change.add_session(digest, ada.id, first + 10_000, "192.0.2.1", "browser")
    clock.advance(1)
    await store.identity.touch_session("b" * 64)
    listed = await store.identity.list_sessions(ada.id)
    assert [(session.id, session.last_used_at) for session in listed] == [
        ("b" * 16, first + 1000),
        ("a" * 16, first),
    ]
    assert listed[1] == await store.identity.find_session("a" * 64)
    assert "a" * 64 not in repr(listed[1])
    assert await store.identity.find_session("c" * 64) is None


async def test_tokens_are_found_used_and_listed(store: Store, clock: FakeClock) -> None:
    async with store.identity.change() as change:
        for n, organization in enumerate(("default", "acme")):
            await change.add_token(
                f"tok_{n}", f"digest{n}", pepper_id="p", preview="gwa_…", organization=organization, name="ci",
                role="admin", member_id=None, expires_at=5,
            )  # fmt: skip
    found = await store.identity.find_token_by_digest("digest0")
    assert found is not None and found.id == "tok_0" and found.last_used_at is None
    assert await store.identity.find_token("tok_0") == found
    assert await store.identity.find_token("tok_9") is None
    await store.identity.touch_token("tok_0")
    assert [(token.id, token.last_used_at) for token in await store.identity.list_tokens("default")] == [
        ("tok_0", clock.now_ms())
    ]
    assert [token.id for token in await store.identity.list_tokens(None)] == ["tok_1", "tok_0"]


async def test_subjects_lead_to_members(store: Store) -> None:
    ada, acme = await add(store, "ada@x.de"), await add(store, "ada@x.de", "acme")
    async with store.identity.change() as change:
        assert await change.link_identity("https://id", "s", ada.id)
        assert await change.link_identity("https://id", "s", acme.id)
    found = await store.identity.find_by_subject("https://id", "s")
    assert [account.id for account in found] == [acme.id, ada.id]
    assert await store.identity.find_by_subject("https://other", "s") == []
