from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.core.store import Batch, Spending
from gateway_proxy.storage import Store
from gateway_proxy.storage.epochs import Epoch
from gateway_proxy.storage.registry import Gateway

SLOT_MS = 900_000


def gateway(number: int) -> Gateway:
    return Gateway(f"gtw_{number}", "edge", "default", "0.1.0", 100, 200, 3, "cafe")


async def renew(store: Store, lost: str = "", run_id: str = "server") -> Epoch:
    begun: list[str] = []

    async def begin(epoch: str) -> None:
        begun.append(epoch)

    epoch = await store.epochs.renew(lost, run_id, begin)
    assert begun in ([], [epoch.id])
    return epoch


async def test_an_epoch_is_made_once_in_the_place_of_another(store: Store) -> None:
    assert await store.epochs.newest() is None
    first = await renew(store)
    assert (await renew(store)).id == first.id and await store.epochs.newest() == first
    second = await renew(store, first.id, "another server")
    assert second.number == first.number + 1 and second.id != first.id and not second.is_ready
    assert await renew(store, first.id) == second


async def test_a_beginning_that_fails_leaves_no_epoch(store: Store) -> None:
    async def begin(epoch: str) -> None:
        raise ConnectionError

    try:
        await store.epochs.renew("", "server", begin)
    except ConnectionError:
        pass
    assert await store.epochs.newest() is None


async def test_it_is_ready_when_every_gateway_that_may_come_back_is_in_it(store: Store) -> None:
    epochs = store.epochs
    for number in range(4):
        await store.registry.heartbeat(gateway(number))
        await epochs.join(f"gtw_{number}/0.a", f"gtw_{number}", 0, 1)
    epoch = await renew(store)
    assert await epochs.hand_over("gtw_0/0.a", "gtw_0", 0, epoch.id) == [f"gtw_{n}/0.a" for n in (1, 2, 3)]
    await store.registry.change_gateway("gtw_1", "gateway.revoked", organization="default", actor="me")
    await store.registry.change_gateway("gtw_2", "gateway.forgotten", organization="default", actor="me")
    # The next process of the third; it holds nothing, and says so.
    await epochs.join("gtw_3/0.b", "gtw_3", 0, 1)
    assert await epochs.hand_over("gtw_0/0.a", "gtw_0", 0, epoch.id) == ["gtw_3/0.b"]
    assert not (await renew(store)).is_ready
    assert await epochs.hand_over("gtw_3/0.b", "gtw_3", 0, epoch.id) == []
    assert (await renew(store)).is_ready
    assert await epochs.known_gateways() == {"gtw_0", "gtw_1", "gtw_3"}
    await epochs.leave("gtw_3/0.b")
    assert await epochs.sharing() == {"gtw_0", "gtw_1", "gtw_2"}
    assert await epochs.holding() == {"gtw_0"}


async def test_a_sum_leaves_out_what_is_asked_to(store: Store, clock: FakeClock) -> None:
    rows = [
        LedgerRow(f"req_{n}", 1, "gtw_1", "org", "tok" if n % 2 else "key", "p", "m", "m", "chat", n * SLOT_MS,
                  parent_id="key" if n % 2 else None, charged_nanos=10**n)
        for n in range(5)
    ]  # fmt: skip
    await store.ledger.append("gtw_1", Batch(ledger=rows))
    found: list[int] = []

    async def plan() -> list[Spending]:
        return [
            Spending("key", 0, 5 * SLOT_MS, []),
            Spending("key", 0, 5 * SLOT_MS, [("req_1", 1), ("req_2", 1), ("req_9", 1)]),
            Spending("tok", SLOT_MS, 4 * SLOT_MS, [("req_3", 1), ("req_4", 1)]),
            Spending("nobody", 0, SLOT_MS, [("req_0", 1)]),
        ]

    async def take(sums: list[int]) -> None:
        found.extend(sums)

    await store.ledger.sum_spending(plan, take)
    assert found == [11111, 11001, 10, 0]
