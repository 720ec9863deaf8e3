"""`usage report`: the books' sums by what one asks for."""

import asyncio

import pytest

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import open_store


@pytest.fixture
def filled(cli, tmp_path) -> list[str]:
    ids = [cli("keys", "create", "--name", name, "--json").json["key"]["id"] for name in ("cheap", "dear")]
    at = Clock().now_ms()
    batch = Batch()
    for number, (key_id, cost) in enumerate(zip(ids, (9_000_000, 1_500_000_000), strict=True)):
        batch.ledger.append(
            LedgerRow(
                request_id=f"req_{number}", attempt=1, gateway_id="gtw_x", organization="default", key_id=key_id,
                owner="local", provider="openai", model_requested="gpt-4o", model_sent="gpt-4o", operation="chat",
                admitted_at=at, settled_at=at, charged_nanos=cost, usage_source="provider", outcome="done",
            )
        )  # fmt: skip
        batch.logs.append(
            LogRow(
                request_id=f"req_{number}", at=at, gateway_id="gtw_x", organization="default", key_id=key_id,
                owner="local", provider="openai", model="gpt-4o", status=200, admitted=True, cost_nanos=cost,
            )
        )  # fmt: skip

    async def write() -> None:
        store = await open_store(f"sqlite:{tmp_path}/gateway.db")
        await store.ledger.append("gtw_x", batch)
        await store.close()

    asyncio.run(write())
    return ids


def test_by_key_the_dearest_first(cli, filled) -> None:
    header, first, second = cli("usage", "report").out.splitlines()
    assert header.split()[0] == "KEY"
    assert first.startswith(f"dear ({filled[1]})")
    assert first.split()[-1] == "1.50"
    assert second.split()[-1] == "0.009"


def test_as_json_and_of_one_key(cli, filled) -> None:
    [entry] = cli("usage", "report", "--key", "cheap", "--json").json["data"]
    assert (entry["key"], entry["key_name"], entry["cost_usd"], entry["requests"]) == (
        filled[0],
        "cheap",
        "0.009",
        1,
    )


def test_a_deleted_key_keeps_its_name(cli, filled) -> None:
    cli("keys", "delete", "dear")
    assert f"dear, deleted ({filled[1]})" in cli("usage", "report").out


@pytest.mark.parametrize(("by", "label"), [("model", "gpt-4o"), ("provider", "openai"), ("owner", "local")])
def test_other_groups_are_sums(cli, filled, by, label) -> None:
    [entry] = cli("usage", "report", "--by", by, "--json").json["data"]
    assert (entry[by], entry["requests"], entry["cost_usd"]) == (label, 2, "1.509")


def test_by_day(cli, filled) -> None:
    [entry] = cli("usage", "report", "--by", "day", "--json").json["data"]
    assert len(entry["day"]) == 10


def test_nothing_used(cli, made) -> None:
    assert cli("usage", "report").out == "No usage.\n"


def test_groups_that_are_none(cli, made) -> None:
    for group in ("colour", "metadata."):
        outcome = cli("usage", "report", "--by", group)
        assert (outcome.code, outcome.out) == (2, "")
        assert "--by: " in outcome.err and "metadata.FIELD" in outcome.err


def test_a_span_of_nothing_names_the_flag(cli, made) -> None:
    outcome = cli("usage", "report", "--since", "0s")
    assert outcome.code == 2 and "--since: must be longer" in outcome.err


def test_by_metadata(cli, filled) -> None:
    cli("keys", "update", "dear", "--metadata", '{"team":"blue"}')
    told = cli("usage", "report", "--by", "metadata.team", "--json").json
    assert [(row["metadata.team"], row["cost_usd"]) for row in told["data"]] == [
        ("blue", "1.50"),
        (None, "0.009"),
    ]
    assert told["totals"]["cost_usd"] == "1.509"
    assert "(none)" in cli("usage", "report", "--by", "metadata.team").out
