"""`logs` on a store with a few rows."""

import asyncio
import json
import threading

import click
import pytest

from gateway_proxy.cli import logs
from gateway_proxy.cli.logs import read_span_ms
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import BodyRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage import open_store


def write(tmp_path, *rows: LogRow, bodies: tuple[BodyRow, ...] = ()) -> None:
    async def run() -> None:
        store = await open_store(f"sqlite:{tmp_path}/gateway.db")
        await store.ledger.append("gtw_x", Batch(logs=list(rows)))
        await store.bodies.add(bodies)
        await store.close()

    asyncio.run(run())


def row(number: int, **members) -> LogRow:
    values = {
        "organization": "default", "key_name": "alpha", "path": "/v1/chat/completions", "model": "gpt-4o",
        "provider": "openai", "status": 200, "admitted": True, "cost_nanos": 1_500_000, "metadata_json": '{"a":1}',
    }  # fmt: skip
    at = Clock().now_ms() - 10_000 + number
    return LogRow(request_id=f"req_{number}", at=at, gateway_id="gtw_x", **(values | members))


@pytest.fixture
def filled(cli, made, tmp_path):
    key_id = made["key"]["id"]
    refused = row(3, status=403, error_code="model_not_found", model="evil\x1b[2J", admitted=False)
    write(tmp_path, row(1, key_id=key_id), row(2), refused)
    return key_id


def ids(outcome) -> list[str]:
    return [entry["request_id"] for entry in outcome.json["data"]]


def test_newest_last_for_people(cli, filled) -> None:
    lines = cli("logs").out.splitlines()
    assert [line.split()[-1] for line in lines] == ["req_1", "req_2", "req_3"]
    assert "0.0015 USD" in lines[0]
    assert "model_not_found" in lines[2]
    assert "\x1b" not in lines[2]


def test_as_json(cli, filled) -> None:
    outcome = cli("logs", "--json", "--limit", "1")
    [entry] = outcome.json["data"]
    assert (entry["request_id"], entry["cost_usd"], entry["metadata"]) == ("req_3", "0.0015", {"a": 1})
    assert outcome.json["next_cursor"]


def test_one_request_with_its_bodies(cli, filled, tmp_path) -> None:
    request_id = "req_" + "0" * 26
    write(
        tmp_path,
        row(5)._replace(request_id=request_id),
        bodies=(BodyRow(request_id, 1, '{"a": "\x1b[2J"}\nsecond', None),),
    )
    out = cli("logs", "--request", request_id).out
    assert 'request body\n{"a": "\\x1b[2J"}\nsecond\n' in out and "response body" not in out
    shown = cli("logs", "--request", request_id, "--json").json
    assert (shown["bodies"], shown["response_body"]) == ("shown", None)
    missing = cli("logs", "--request", "../req_9")
    assert missing.code == 1 and "nothing of that id" in missing.err


def test_filters(cli, filled) -> None:
    assert ids(cli("logs", "--json", "--key", "alpha")) == ["req_1"]
    assert ids(cli("logs", "--json", "--errors")) == ["req_3"]
    assert ids(cli("logs", "--json", "--model", "gpt-4o")) == ["req_2", "req_1"]
    assert ids(cli("logs", "--json", "--since", "1s")) == []
    assert cli("logs", "--since", "1s").out == "No requests.\n"


def test_follow_prints_what_arrives_once(cli, filled, tmp_path, monkeypatch) -> None:
    rounds = []

    async def arrive(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 1:
            adding = threading.Thread(target=write, args=(tmp_path, row(4)))
            adding.start()
            await asyncio.to_thread(adding.join)
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(logs.asyncio, "sleep", arrive)
    outcome = cli("logs", "--follow", "--json")
    assert outcome.code == 130
    assert [json.loads(line)["request_id"] for line in outcome.out.splitlines()] == [
        "req_1",
        "req_2",
        "req_3",
        "req_4",
    ]
    assert outcome.err == ""


def test_spans() -> None:
    assert [read_span_ms(text, "--since") for text in ("1s", "2m", "3h", "4d")] == [
        1000, 120_000, 10_800_000, 345_600_000,
    ]  # fmt: skip
    for text in ("", "5", "-5m", "1.5h", "5w", "٣m", "5m\n"):
        with pytest.raises(click.UsageError, match="--since"):
            read_span_ms(text, "--since")


def test_since_counts_from_now(cli, filled) -> None:
    assert ids(cli("logs", "--json", "--since", "1m")) == ["req_3", "req_2", "req_1"]
