"""What a gateway knows of tokens follows the store."""

from dataclasses import replace

from gateway_proxy.app.live_tokens import LiveTokens
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.token import write_token
from gateway_proxy.limits.memory import MemoryLimiter
from gateway_proxy.storage import open_store
from tests.support.ephemeral import PARENT, make_token_key, row_of, signer


async def test_pairs_and_graves_come_from_the_store(tmp_path) -> None:
    clock = FakeClock()
    now_ms = clock.now_ms()
    token = make_token_key(created_at=now_ms, expires_at=now_ms + 3_600_000, budget_nanos=5)
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    try:
        keys, limiter = KeyDirectory(), MemoryLimiter(clock)
        live = LiveTokens(store.keys, keys, limiter, clock)
        keys.apply([KeyRecord(PARENT.id, PARENT), KeyRecord(token.id, token)])
        secret = write_token(token, signer())
        await live.prepare([])
        assert live.directory.find(b"1", secret, now_ms) is None
        async with store.keys.change() as change:
            await change.add_signing_key(row_of(signer()))
            await change.save_key(token)
        await live.prepare([])
        assert live.directory.find(b"1", secret, now_ms) is not None
        [job] = limiter.begin_rebuilds([token])
        limiter.finish_rebuild(job, 0)
        async with store.keys.change() as change:
            await change.delete_key(token.id)
        again = LiveTokens(store.keys, keys, limiter, clock)
        for fresh, learn in ((live, live.prepare([KeyRecord(token.id, None)])), (again, again.load())):
            keys.apply([KeyRecord(token.id, token)])
            await fresh.prepare([])
            assert fresh.directory.find(b"1", secret, now_ms) is not None
            await learn
            keys.apply([KeyRecord(token.id, None)])
            assert fresh.directory.find(b"1", secret, now_ms) is None
        keys.apply([KeyRecord(token.id, replace(token, expires_at=now_ms))])
        live.drop_expired()
        assert keys.key(token.id) is None and limiter.counters()[3] == 0
    finally:
        await store.close()
