"""Finding what people name: by id, by exact name, over all pages."""

import asyncio

from gateway_proxy.cli import lookup
from gateway_proxy.core.ids import new_id
from gateway_proxy.storage import open_store
from gateway_proxy.storage.registry import Gateway


def test_all_pages_are_read(cli, monkeypatch) -> None:
    monkeypatch.setattr(lookup, "PAGE", 2)
    for name in "abcde":
        cli("keys", "create", "--name", name)
    assert [key["name"] for key in cli("keys", "list", "--json").json["data"]] == list("abcde")
    assert cli("keys", "show", "e").code == 0


def test_a_secret_in_place_of_a_name_is_not_repeated(cli) -> None:
    secret = cli("keys", "create", "--name", "a", "--json").json["secret"]
    outcome = cli("keys", "show", secret)
    assert outcome.code == 1 and secret not in outcome.err
    assert f"{secret[:8]}… is a key's secret" in outcome.err.replace(secret[-10:-6], "")


def test_members_are_found_by_address_and_by_id(cli) -> None:
    added = cli("members", "add", "Ada@Example.com", "--role", "owner", "--json").json["member"]
    for text in ("ada@example.com", " ADA@example.com ", added["id"]):
        assert cli("members", "setup-link", text).code == 0
    outcome = cli("members", "setup-link", "ad")
    assert (outcome.code, outcome.err) == (1, "gateway-proxy: there is no member ad\n")


def test_gateways_are_found_by_name_and_by_id(cli, made, tmp_path) -> None:
    ids = [new_id("gtw") for _ in range(3)]

    async def attach() -> None:
        store = await open_store(f"sqlite:{tmp_path}/gateway.db")
        for gateway_id, name in zip(ids, ("edge", "twin", "twin"), strict=True):
            await store.registry.heartbeat(Gateway(gateway_id, name, "default", "1", 0, 0, 0, ""))
        await store.close()

    asyncio.run(attach())
    assert cli("gateways", "revoke", "edge", "--json").json["id"] == ids[0]
    assert "2 gateways are named 'twin'" in cli("gateways", "revoke", "twin").err
    assert cli("gateways", "revoke", ids[2], "--json").json["status"] == "revoked"
    assert "there is no gateway" in cli("gateways", "revoke", "none").err
