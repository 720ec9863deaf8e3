"""Ids in the store: whose they are does not change, and old ones go."""

from gateway_proxy.core.kept import MadeId
from gateway_proxy.storage import Store


def made(id: str, owner: str = "key_a", made_at: int = 5) -> MadeId:
    return MadeId(id, owner, "openai", "at", "m", "up-m", made_at)


async def test_the_first_owner_stays(store: Store) -> None:
    assert await store.made_ids.add([made("r1"), made("r2")]) == 2
    assert await store.made_ids.add([made("r1", "key_b"), made("r3", "key_b")]) == 1
    assert await store.made_ids.find(["r1", "r3", "r4"], 5) == [made("r1"), made("r3", "key_b")]
    assert await store.made_ids.find(["r1"], 6) == []


async def test_old_ones_are_deleted_in_steps(store: Store) -> None:
    await store.made_ids.add([made(f"r{number}", made_at=number) for number in range(4)])
    assert await store.made_ids.prune(3, limit=2) == 2
    assert await store.made_ids.prune(3) == 1
    assert [one.id for one in await store.made_ids.find([f"r{n}" for n in range(4)], 0)] == ["r3"]
