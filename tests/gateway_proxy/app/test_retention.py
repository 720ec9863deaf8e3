"""What is old goes from the store, whatever it is."""

from dataclasses import replace

from gateway_proxy.app.retention import DAY_MS, delete_old
from gateway_proxy.core.ledger import BodyRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import open_store
from tests.support.ephemeral import NOW, make_token_key, row_of, signer


async def test_old_rows_of_every_kind_go(tmp_path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True)
    try:
        token = make_token_key(expires_at=NOW)
        async with store.keys.change() as change:
            await change.save_key(token)
            await change.save_key(replace(token, id="key_lives", expires_at=NOW + 2 * DAY_MS))
            await change.add_signing_key(row_of(signer(), NOW + DAY_MS))
        await store.ledger.append("g", Batch(logs=[LogRow(request_id="req_1", at=NOW, gateway_id="g")]))
        await store.bodies.add([BodyRow("req_1", NOW, "asked", "told")])
        await delete_old(store, NOW + DAY_MS, 30)
        assert await store.bodies.find("req_1") is not None
        assert await store.keys.find(token.id) is not None
        await delete_old(store, NOW + DAY_MS + 1, 1)
        assert await store.keys.find(token.id) is None and await store.keys.find("key_lives") is not None
        assert token.id in await store.keys.find_deleted([token.id])
        assert await store.db.fetch("SELECT * FROM request_log") == []
        assert await store.db.fetch("SELECT * FROM signing_keys") == []
        assert await store.bodies.find("req_1") is None
    finally:
        await store.close()
