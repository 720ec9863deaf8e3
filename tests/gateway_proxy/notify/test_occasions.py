"""What becomes an event: acts without their values, expiries at 7 days and 1, providers once they stay down."""

from dataclasses import replace

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Key
from gateway_proxy.notify.occasions import Occasions, ProviderWatch, describe_change
from gateway_proxy.storage import Store
from gateway_proxy.storage.changes import ChangeRow
from gateway_proxy.storage.occasions import DAY_MS, KeyFacts

KEY = Key(id="key_1", name="alpha", organization="default", owner="ada", preview="gwk_AbCd…wxyz")


def test_an_act_names_what_changed_and_no_value() -> None:
    change = ChangeRow(
        7, "aud_1", "key.updated", "default", "key_1", "", "ada", "192.0.2.1", 5,
        '{"revision":2,"changes":{"name":["a","s3cret"],"metadata":[{},{"x":"s3cret"}]}}',
    )  # fmt: skip
    event = describe_change(change, KeyFacts("key_1", "alpha", "ada", "gwk_AbCd…wxyz"))
    assert event.dedupe == "change:7" and event.at == 5 and event.key_id == "key_1"
    assert event.data == {
        "key_id": "key_1", "key_name": "alpha", "owner": "ada", "preview": "gwk_AbCd…wxyz",
        "organization": "default", "actor": "ada", "changed": ["metadata", "name"],
    }  # fmt: skip
    for details in ("", "[]", '{"changes":[]}'):
        assert (
            describe_change(replace(change, details_json=details), KeyFacts("k", "", "", "")).data["changed"]
            == []
        )


async def events(store: Store) -> list[tuple[str, object]]:
    return [(event.key_id, event.data.get("days")) for event in await store.outbox.pending()]


async def test_an_expiry_is_announced_at_seven_days_and_at_one_once_each(
    store: Store, clock: FakeClock
) -> None:
    occasions = Occasions(store, clock, "default")
    now = clock.now_ms()

    async def save(key: Key) -> None:
        async with store.keys.change() as change:
            await change.save_key(key)

    await save(replace(KEY, expires_at=now + 8 * DAY_MS))
    await save(replace(KEY, id="key_2", expires_at=now + DAY_MS // 2))
    await occasions.announce_expiries()
    assert await events(store) == [("key_2", 1)]  # the nearer one alone
    clock.advance(1.5 * 86_400)
    for _ in range(2):
        await occasions.announce_expiries()
    assert await events(store) == [("key_2", 1), ("key_1", 7)]
    clock.advance(6 * 86_400)
    await occasions.announce_expiries()
    assert await events(store) == [("key_2", 1), ("key_1", 7), ("key_1", 1)]
    await save(replace(KEY, expires_at=clock.now_ms() + 6 * DAY_MS))  # prolonged: it begins anew
    await occasions.announce_expiries()
    assert (await events(store))[3:] == [("key_1", 7)]


async def test_acts_are_announced(store: Store, clock: FakeClock) -> None:
    occasions = Occasions(store, clock, None)
    await occasions.announce_acts()
    async with store.keys.change() as change:
        await change.save_key(KEY)
        await change.record("key.created", KEY, "{}", actor="ada")
    await occasions.announce_acts()
    await occasions.announce_acts()
    assert [event.type for event in await store.outbox.pending()] == ["key.created"]


class Providers:
    def __init__(self, clock: FakeClock) -> None:
        self.tripped: list[tuple[str, str]] = []
        self.clock = clock
        self.watch = ProviderWatch(lambda: self.tripped, clock, "gtw_1", "default")

    def after(self, seconds: float) -> list[tuple[str, object]]:
        self.clock.advance(seconds)
        return [(event.type, event.data.get("models")) for event in self.watch.look()]


def test_a_provider_is_down_when_it_stays_down_and_up_when_it_stays_up(clock: FakeClock) -> None:
    providers = Providers(clock)
    assert providers.after(60) == []
    providers.tripped = [("openai", "b"), ("openai", "a")]
    assert providers.after(0) == [] and providers.after(14) == []
    assert providers.after(1) == [("provider.down", ["a", "b"])]
    assert providers.after(600) == []
    providers.tripped = [("openai", "a")]
    assert providers.after(60) == []
    providers.tripped = []
    assert providers.after(0) == []
    assert providers.after(15) == [("provider.up", None)]
    assert providers.after(600) == []


def test_a_provider_that_flaps_is_not_worth_a_message(clock: FakeClock) -> None:
    providers = Providers(clock)
    for _ in range(5):
        providers.tripped = [("openai", "a")]
        assert providers.after(10) == []
        providers.tripped = []
        assert providers.after(10) == []
