"""Kept answers: begun once, found again until they expire, and never without bound."""

import pytest

from gateway_proxy.storage import Store
from gateway_proxy.storage.replays import Replay, TooManyReplays


async def begin(
    store: Store, digest: str, now_ms: int = 0, actor: str = "ada", most: int = 5
) -> Replay | None:
    return await store.replays.begin(
        digest, actor, "asked", now_ms=now_ms, expires_at=now_ms + 100, most=most
    )


async def test_a_request_is_begun_once_and_its_answer_found_again(store: Store) -> None:
    assert await begin(store, "a") is None
    assert await begin(store, "a") == Replay("asked", "")
    await store.replays.finish("a", "sealed")
    assert await begin(store, "a") == Replay("asked", "sealed")
    assert await begin(store, "b") is None


async def test_what_has_expired_or_come_to_nothing_may_be_begun_again(store: Store) -> None:
    await begin(store, "a")
    await store.replays.finish("a", "sealed")
    assert await begin(store, "a", now_ms=99) is not None
    assert await begin(store, "a", now_ms=100) is None
    await store.replays.drop("a")
    assert await begin(store, "a", now_ms=100) is None


async def test_each_actor_has_a_bound(store: Store) -> None:
    for number in range(2):
        await begin(store, f"a{number}", most=2)
    with pytest.raises(TooManyReplays):
        await begin(store, "a2", most=2)
    assert await begin(store, "a1", most=2) is not None
    assert await begin(store, "b", actor="eve", most=2) is None
    assert await begin(store, "a2", now_ms=100, most=2) is None
    assert await store.db.fetch("SELECT COUNT(*) FROM replays") == [(1,)]
