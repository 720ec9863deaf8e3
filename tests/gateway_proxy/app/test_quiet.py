"""A part that is not the first learns that its gateway was revoked, and writes nothing of its own."""

from pathlib import Path

from gateway_proxy.app.quiet import QuietAttachment, QuietNotifier, QuietTrail
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.storage import open_store
from gateway_proxy.storage.registry import Gateway

OWN = Gateway("gtw_own", "edge", "default", "1.0", 1, 1, 0, "d1")


async def test_it_learns_of_a_revocation_and_leaves_the_record(tmp_path: Path) -> None:
    clock, ended = FakeClock(), []
    store = await open_store(f"sqlite:{tmp_path}/a.db", migrate=True, clock=clock)
    attachment = QuietAttachment(
        store.registry, clock, lambda: OWN, lambda: clock.monotonic_ns(), lambda: ended.append(1)
    )
    assert await attachment.list_company("gtw_other") == []
    await attachment.report()
    assert await store.registry.list_gateways() == []
    await store.registry.heartbeat(OWN)
    await store.registry.change_gateway("gtw_own", "gateway.revoked", organization="default", actor="ada")
    await attachment.report()
    assert attachment.is_barred(strict=False) and ended == [1]
    await store.registry.change_gateway("gtw_own", "gateway.allowed", organization="default", actor="ada")
    await attachment.report()
    assert attachment.revoked_at is None
    await attachment.leave()
    assert [record.id for record in await store.registry.list_gateways()] == ["gtw_own"]
    await store.close()


async def test_what_the_first_does_is_not_done_twice() -> None:
    trail, notifier = QuietTrail(), QuietNotifier()
    trail.wake()
    notifier.wake()
    notifier.configure([])
    await trail.run()
    await notifier.run()
    await notifier.close()
    trail.log.close()
    assert (trail.head, trail.log.error) == ("", "")
    assert trail.describe() == {"written_by": "the first worker"}
