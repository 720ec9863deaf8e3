"""What workers that there are no more left in their journals is in the store after the next start."""

from pathlib import Path

from gateway_proxy.app.leftovers import carry_over
from gateway_proxy.app.part import Part
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.ledger.spool import Spool
from gateway_proxy.storage import open_store
from tests.gateway_proxy.storage.test_ledger_sums import make_attempt


async def test_only_those_beyond_the_number_are_carried_over(tmp_path: Path) -> None:
    clock = FakeClock()
    store = await open_store(f"sqlite:{tmp_path}/a.db", migrate=True, clock=clock)
    for number in (1, 2):
        spool = Spool(tmp_path / f"spool-{number}")
        row = make_attempt(number, charged_nanos=5)
        spool.intent(row)
        spool.settle(row)
        spool.close()
    part = Part()
    part.count = 2
    for _ in range(2):
        await carry_over(part, store, tmp_path, "gtw_1", clock)
        assert await store.db.fetch("SELECT request_id, charged_nanos FROM ledger") == [("req_2", 5)]
    assert await store.ledger.cursor("gtw_1/2") is not None
    part.is_first, part.count = False, 1
    await carry_over(part, store, tmp_path, "gtw_1", clock)
    assert await store.db.fetch_one("SELECT COUNT(*) FROM ledger") == (1,)
    await store.close()
