"""The notifier on a real store: schedule, independence of endpoints, 410, tests of an endpoint, and two gateways."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.notify import notifier as module
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.notifier import Notifier
from gateway_proxy.notify.occasions import Occasions, ProviderWatch
from gateway_proxy.notify.webhook import Outcome
from gateway_proxy.storage import Store
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.deliveries import Doer

DOER = Doer(FakeClock(), "default", "ada", "192.0.2.1")
Answer = Callable[[EventRow], Outcome]


class Fake:
    """Stands for the network: remembers what was sent to an endpoint, and when."""

    lease_seconds = 20.0

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.sent: list[tuple[str, int]] = []
        self.answer: Answer = lambda _: Outcome(200)
        self.gate: asyncio.Event | None = None

    async def send(self, events: list[EventRow]) -> list[Outcome]:
        self.sent += [(event.id, self.clock.now_ms()) for event in events]
        if self.gate is not None:
            await self.gate.wait()
        return [self.answer(event) for event in events]

    async def close(self) -> None:
        pass


def endpoint(id_: str, *patterns: str) -> Endpoint:
    return Endpoint(id_, f"https://{id_}", Secret("https://x"), patterns or ("*",), Secret("whsec_"))


class Scene:
    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock = store, clock
        self.fakes = {id_: Fake(clock) for id_ in ("hook-1", "hook-2")}
        self.notifier = self.make("gtw_1")

    def make(self, gateway_id: str, organization: str | None = None) -> Notifier:
        made = Notifier(
            self.store, self.clock, gateway_id, organization,
            Occasions(self.store, self.clock, organization),
            ProviderWatch(list, self.clock, gateway_id, "default"),
            lambda endpoint: self.fakes[endpoint.id],
        )  # fmt: skip
        made.configure([endpoint("hook-1"), endpoint("hook-2", "key.*")])
        return made

    async def add(self, *events: EventRow) -> None:
        await self.store.outbox.add([replace(event, dedupe=event.id) for event in events])

    async def turn(self, seconds: float = 0) -> None:
        self.clock.advance(seconds)
        await self.notifier.turn()
        await self.notifier.settle()

    def sent(self, id_: str = "hook-1") -> list[str]:
        return [event_id for event_id, _ in self.fakes[id_].sent]

    async def states(self) -> list[tuple[str, str, int]]:
        page = await self.store.deliveries.search()
        return sorted((d.endpoint, d.state, d.attempts) for d in page.deliveries)


@pytest.fixture
def scene(store: Store, clock: FakeClock) -> Scene:
    return Scene(store, clock)


async def test_an_event_goes_once_to_each_endpoint_that_wants_it(scene: Scene, event: EventRow) -> None:
    await scene.add(event, replace(event, id="evt_2", type="key.created"))
    await scene.turn()
    await scene.turn(600)
    assert sorted(scene.sent()) == ["evt_01j9aaaaaaaaaaaaaaaaaaaaaa", "evt_2"]
    assert scene.sent("hook-2") == ["evt_2"]
    assert {state for _, state, _ in await scene.states()} == {"delivered"}


async def test_the_schedule_of_retries(scene: Scene, event: EventRow) -> None:
    scene.fakes["hook-1"].answer = lambda _: Outcome(500, "answered 500")
    await scene.add(event)
    await scene.turn()
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600):
        count = len(scene.sent())
        await scene.turn(seconds - 1)
        assert len(scene.sent()) == count
        assert ("hook-1", "pending", count) in await scene.states()
        await scene.turn(1)
        assert len(scene.sent()) == count + 1
    assert await scene.states() == [("hook-1", "failed", 7)]
    await scene.turn(1_000_000)
    assert len(scene.sent()) == 7 and len(set(scene.sent())) == 1


async def test_a_retry_that_is_taken_ends_it(scene: Scene, event: EventRow) -> None:
    scene.fakes["hook-1"].answer = lambda _: Outcome(None, "no answer")
    await scene.add(event)
    await scene.turn()
    scene.fakes["hook-1"].answer = lambda _: Outcome(204)
    await scene.turn(5)
    assert await scene.states() == [("hook-1", "delivered", 2)]


async def test_a_dead_endpoint_delays_no_other(scene: Scene, event: EventRow) -> None:
    dead = scene.fakes["hook-1"]
    dead.gate = asyncio.Event()
    for n in range(3):
        await scene.add(replace(event, id=f"evt_{n}", type="key.created"))
        await scene.notifier.turn()
        while len(scene.sent("hook-2")) <= n:
            await asyncio.sleep(0.001)
    assert scene.sent() == ["evt_0"]
    dead.gate.set()
    await scene.notifier.settle()
    assert scene.sent() == ["evt_0", "evt_1", "evt_2"]


async def test_410_disables_the_endpoint_until_it_is_enabled(scene: Scene, event: EventRow) -> None:
    scene.fakes["hook-1"].answer = lambda _: Outcome(410, "answered 410")
    await scene.add(event)
    await scene.turn()
    await scene.add(replace(event, id="evt_2"))
    await scene.turn(100_000)
    assert scene.sent() == [event.id] and await scene.states() == [("hook-1", "failed", 1)]
    scene.fakes["hook-1"].answer = lambda _: Outcome(200)
    await scene.store.deliveries.enable("hook-1", DOER)
    await scene.add(replace(event, id="evt_3"))
    await scene.turn()
    assert scene.sent() == [event.id, "evt_3"]


async def test_a_test_is_sent_once_and_to_nobody_else(scene: Scene, event: EventRow) -> None:
    scene.fakes["hook-2"].answer = lambda _: Outcome(500, "answered 500")
    test = replace(event, type="notification.test")
    await scene.store.deliveries.add_single(test, "hook-2", "https://hook-2", scene.clock.now_ms(), DOER)
    await scene.turn()
    await scene.turn(100)
    assert scene.sent("hook-2") == [event.id] and scene.sent() == []
    assert await scene.states() == [("hook-2", "failed", 1)]


async def test_two_gateways_send_an_event_once(scene: Scene, event: EventRow) -> None:
    other = scene.make("gtw_2")
    scene.fakes["hook-1"].gate = gate = asyncio.Event()
    await scene.add(*(replace(event, id=f"evt_{n}") for n in range(30)))
    await asyncio.gather(scene.notifier.turn(), other.turn())
    gate.set()
    await scene.notifier.settle()
    await other.settle()
    assert sorted(scene.sent()) == sorted(f"evt_{n}" for n in range(30))


async def test_an_event_that_was_being_sent_when_the_gateway_died_is_sent_again_at_its_start(
    scene: Scene, event: EventRow
) -> None:
    scene.fakes["hook-1"].gate = asyncio.Event()
    await scene.add(event)
    await scene.notifier.turn()
    while not scene.sent():
        await asyncio.sleep(0.001)
    elsewhere = scene.make("gtw_2")
    await elsewhere.turn()
    assert len(scene.sent()) == 1  # it is leased
    scene.fakes["hook-1"].gate = None
    again = scene.make("gtw_1")
    await again.turn()
    await again.settle()
    assert scene.sent() == [event.id] * 2
    await scene.notifier.close()


async def test_a_stop_in_the_middle_leaves_the_event_to_the_next_start(scene: Scene, event: EventRow) -> None:
    scene.fakes["hook-1"].gate = asyncio.Event()
    await scene.add(event)
    await scene.notifier.turn()
    while not scene.sent():
        await asyncio.sleep(0.001)
    await scene.notifier.close()
    assert await scene.store.deliveries.next_due("hook-1") == scene.clock.now_ms()


async def test_a_gateway_sends_for_its_own_organization(scene: Scene, event: EventRow) -> None:
    await scene.add(replace(event, organization="other"), replace(event, id="evt_2"))
    own = scene.make("gtw_1", "default")
    await own.turn()
    await own.settle()
    assert scene.sent() == ["evt_2"]


async def test_new_settings_hold_for_the_next_event(scene: Scene, event: EventRow) -> None:
    scene.notifier.configure([endpoint("hook-2")])
    await scene.add(event)
    await scene.turn()
    assert scene.sent() == [] and scene.sent("hook-2") == [event.id]


async def test_without_endpoints_events_are_done_with(scene: Scene, event: EventRow) -> None:
    scene.notifier.configure([])
    await scene.add(event)
    await scene.turn()
    scene.notifier.configure([endpoint("hook-1")])
    await scene.turn()
    assert scene.sent() == [] and await scene.store.outbox.pending() == []


async def test_the_task_goes_on_when_the_store_was_away(
    scene: Scene, event: EventRow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", 0.005)
    real, down = scene.notifier.turn, True

    async def turn() -> None:
        if down:
            raise StoreError("away")
        await real()

    monkeypatch.setattr(scene.notifier, "turn", turn)
    running = asyncio.get_running_loop().create_task(scene.notifier.run())
    await scene.add(event)
    await asyncio.sleep(0.03)
    assert caplog.text.count("events wait: away") == 1
    down = False
    scene.notifier.wake()
    async with asyncio.timeout(5):
        while not scene.sent():
            await asyncio.sleep(0.001)
    running.cancel()
    await scene.notifier.settle()
