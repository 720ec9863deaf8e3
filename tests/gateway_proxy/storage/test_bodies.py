"""Bodies in the store: found, kept once, pruned in steps."""

from gateway_proxy.core.ledger import BodyRow
from gateway_proxy.storage import Store


async def test_kept_once_and_found(store: Store) -> None:
    first = BodyRow("r1", 1, "asked ␀ \ufffd 'quoted'", None)
    await store.bodies.add([first, BodyRow("r2", 2, None, "x" * 65_536)])
    await store.bodies.add([BodyRow("r1", 1, "changed", "changed")])
    assert await store.bodies.find("r1") == first
    assert await store.bodies.find("r3") is None


async def test_old_ones_go_in_steps(store: Store) -> None:
    await store.bodies.add([BodyRow(f"r{number}", number, "a", "b") for number in range(10)])
    assert [await store.bodies.prune(8, 5) for _ in range(3)] == [5, 3, 0]
    assert await store.bodies.find("r7") is None and await store.bodies.find("r8") is not None
