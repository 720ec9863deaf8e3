"""Tables as the database itself describes them."""

from gateway_proxy.storage import Store
from gateway_proxy.storage.shapes import list_tables


async def test_every_table_with_its_columns_and_key(store: Store) -> None:
    tables = {table.name: table for table in await list_tables(store.db, store.db.dialect)}
    assert set(tables) | {"schema_migrations"} == await store.db.tables()
    slots = tables["spend_slots"]
    assert (slots.columns, slots.numbers, slots.key) == (
        ("key_id", "slot", "nanos"),
        ("slot", "nanos"),
        ("key_id", "slot"),
    )
    assert slots.upsert == "ON CONFLICT (key_id, slot) DO UPDATE SET nanos = excluded.nanos"
    assert tables["request_log_minutes"].upsert == "ON CONFLICT DO NOTHING"
    assert all(table.key for table in tables.values())


async def test_the_key_is_in_its_own_order(store: Store) -> None:
    tables = {table.name: table for table in await list_tables(store.db, store.db.dialect)}
    assert tables["usage_hourly"].key == ("hour", "key_id", "provider", "model", "organization", "owner")
    assert tables["oidc_identities"].key == ("issuer", "member_id")


async def test_no_table_refers_to_a_later_one(store: Store) -> None:
    names = [table.name for table in await list_tables(store.db, store.db.dialect)]
    assert names.index("keys") < names.index("key_secrets")
    assert names.index("members") < names.index("sessions")
