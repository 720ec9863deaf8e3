"""The pepper's fingerprint changes only where nobody depends on it, and no secret is stored under another one."""

from dataclasses import replace

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.storage import Store, StoreError
from gateway_proxy.storage.registry import LIVE_MS, Gateway

GATEWAY = Gateway("gtw_1", "edge", "default", "0.1.0", 0, 0, 0, "")
KEY = Key(id="key_1", name="a", organization="default", owner="local")


async def add_secret(store: Store, fingerprint: str) -> None:
    async with store.keys.change() as change:
        await change.save_key(KEY)
        await change.add_secret(KEY.id, b"d" * 32, fingerprint)


async def test_it_is_replaced_while_the_store_is_not_in_use(store: Store) -> None:
    for fingerprint in ("pep_a", "pep_b"):
        assert await store.registry.replace_pepper(fingerprint)
        assert await store.registry.get_meta("pepper_id") == fingerprint


async def test_a_live_gateway_keeps_it(store: Store, clock: FakeClock) -> None:
    registry = store.registry
    await registry.replace_pepper("pep_a")
    await registry.heartbeat(replace(GATEWAY, last_seen_at=clock.now_ms()))
    assert await registry.has_live_gateway()
    assert not await registry.replace_pepper("pep_b")
    assert await registry.get_meta("pepper_id") == "pep_a"
    assert await registry.replace_pepper("pep_a")  # of another process with the same
    clock.advance(LIVE_MS / 1000)
    assert not await registry.has_live_gateway()
    assert await registry.replace_pepper("pep_b")


async def test_a_secret_keeps_it(store: Store) -> None:
    await store.registry.replace_pepper("pep_a")
    await add_secret(store, "pep_a")
    assert not await store.registry.replace_pepper("pep_b")
    await store.registry.require_pepper("pep_a")
    with pytest.raises(StoreError, match="another pepper"):
        await store.registry.require_pepper("pep_b")


async def test_no_secret_is_stored_under_one_that_was_replaced(store: Store) -> None:
    await store.registry.replace_pepper("pep_a")
    await store.registry.replace_pepper("pep_b")
    with pytest.raises(StoreError, match="another pepper"):
        await add_secret(store, "pep_a")
    assert not await store.keys.has_secrets()
    async with store.identity.change() as change:
        with pytest.raises(StoreError, match="another pepper"):
            await change.add_token(
                "tok_1", "d", pepper_id="pep_a", preview="p", organization="default", name="", role="owner",
                member_id=None, expires_at=None,
            )  # fmt: skip
