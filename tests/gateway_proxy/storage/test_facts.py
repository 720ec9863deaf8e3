from gateway_proxy.storage import Store
from gateway_proxy.storage.facts import get_fact, set_fact


async def test_a_fact_is_part_of_the_transaction_in_which_it_is_told(store: Store) -> None:
    async with store.db.transaction() as tx:
        await set_fact(tx, "copy", "begun")
        await set_fact(tx, "copy", "done")
        assert await get_fact(tx, "copy") == "done"
    assert await get_fact(store.db, "copy") == "done"
    assert await get_fact(store.db, "origin") is None
