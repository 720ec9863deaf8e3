"""`gateways`: listed, revoked, allowed, forgotten."""

import asyncio

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.storage import open_store
from gateway_proxy.storage.registry import Gateway


@pytest.fixture
def attached(cli, made, tmp_path) -> str:
    gateway_id, now_ms = new_id("gtw"), Clock().now_ms()

    async def attach() -> None:
        store = await open_store(f"sqlite:{tmp_path}/gateway.db")
        await store.registry.heartbeat(Gateway(gateway_id, "edge", "default", "1.0", now_ms, now_ms, 99, ""))
        await store.close()

    asyncio.run(attach())
    return gateway_id


def test_a_gateway_is_listed_revoked_allowed_and_forgotten(cli, attached) -> None:
    header, row = cli("gateways", "list").out.splitlines()
    assert header.split()[:2] == ["NAME", "STATUS"]
    assert (row.split()[:2], row.split()[-1]) == (["edge", "healthy"], attached)
    assert cli("gateways", "revoke", "edge").out == f"Revoked the gateway edge ({attached}).\n"
    assert cli("gateways", "list", "--json").json["data"][0]["status"] == "revoked"
    assert cli("gateways", "allow", attached, "--json").json["status"] == "healthy"
    assert cli("gateways", "forget", "edge").out == f"Forgot the gateway edge ({attached}).\n"
    assert cli("gateways", "list").out == "No gateways.\n"


def test_a_new_signing_pair(cli, tmp_path) -> None:
    cli("keys", "create", "--name", "alpha")
    cli("keys", "ephemeral", "alpha")
    first = (tmp_path / "gateway-data" / "signing-key").read_bytes()
    outcome = cli("gateways", "rotate-signing-key")
    assert outcome.code == 0 and outcome.out.startswith("Tokens are signed with the pair ")
    assert (tmp_path / "gateway-data" / "signing-key").read_bytes() != first
    shown = cli("gateways", "rotate-signing-key", "--now", "--json").json
    assert shown["at_once"] is True and shown["kid"] not in outcome.out
    (tmp_path / "gateway-data" / "gateway-id").write_text("nonsense")
    outcome = cli("gateways", "rotate-signing-key")
    assert outcome.code == 1 and "gateway id" in outcome.err
