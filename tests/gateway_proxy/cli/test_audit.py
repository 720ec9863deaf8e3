"""`audit tail` and `audit verify` on a data folder, with and without a store."""

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.audit.chain import derive_key
from gateway_proxy.audit.log import AuditLog
from gateway_proxy.cli import audit as command
from gateway_proxy.cli.main import run
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import open_store
from gateway_proxy.storage.registry import Gateway

GATEWAY = "gtw_01j9aaaaaaaaaaaaaaaaaaaaaa"


@pytest.fixture
def log(made: dict[str, Any]) -> AuditLog:
    """The log of a gateway that ran on the store of `made`, with three acts."""
    pepper = Path("gateway-data/pepper").read_text().strip().encode()
    Path("gateway-data/gateway-id").write_text(f"{GATEWAY}\n")
    log = AuditLog(Path("gateway-data/audit") / GATEWAY, derive_key(pepper, GATEWAY), GATEWAY, Clock())
    log.open()
    log.append(
        [
            {"change": n, "at": f"2026-01-0{n}T00:00:00Z", "action": "key.updated", "subject": f"key_{n}",
             "actor": "ada@example.com", "ip": "192.0.2.1", "details": {"name": "\x1b[2J"}}
            for n in (1, 2, 3)
        ]
    )  # fmt: skip
    return log


def report(head: str) -> None:
    async def work() -> None:
        store = await open_store("sqlite:gateway.db")
        await store.registry.heartbeat(Gateway(GATEWAY, "a", "default", "1", 0, 0, 0, "", head))
        await store.registry.forget_gateway(GATEWAY)
        await store.close()

    asyncio.run(work())


def test_tail_shows_the_last_acts(cli, log) -> None:
    shown = cli("audit", "tail", "-n", "2").out.splitlines()
    assert len(shown) == 2
    assert "2026-01-02 00:00:00  key.updated  key_2  by ada@example.com  from 192.0.2.1" in shown[0]
    assert "\x1b" not in shown[0]
    assert [entry["seq"] for entry in cli("audit", "tail", "--json").json["data"]] == [1, 2, 3]


def test_tail_follows(cli, log, monkeypatch, capsys) -> None:
    turns = itertools.count()

    def sleep(_: float) -> None:
        if next(turns):
            raise KeyboardInterrupt
        log.append([{"change": 4, "action": "key.deleted"}])

    monkeypatch.setattr(command.time, "sleep", sleep)
    assert run(["audit", "tail", "-f", "-n", "1", "--json"]) == 130
    seqs = [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()]
    assert seqs == [3, 4]


def test_an_untouched_log_is_valid(cli, log) -> None:
    outcome = cli("audit", "verify")
    assert outcome.code == 0 and f"{GATEWAY}: valid, 3 entries" in outcome.out
    assert "no reported head" in outcome.out
    report(str(log.head))
    assert "checked against its reported head" in cli("audit", "verify").out
    answer = cli("audit", "verify", "--json").json
    assert answer["ok"] and answer["logs"][0]["reported_head"] == answer["logs"][0]["head"] == str(log.head)


def test_an_edited_log_is_broken_with_file_and_line(cli, log) -> None:
    path = next(log.folder.glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b"key_2", b"key_9"))
    outcome = cli("audit", "verify")
    assert outcome.code == 1 and f"{path.name}:2: this line was changed" in outcome.out
    outcome = cli("audit", "verify", "--json")
    assert outcome.code == 1 and not outcome.json["ok"] and outcome.json["logs"][0]["line"] == 2


def test_a_log_that_ends_before_its_reported_head_is_broken(cli, log) -> None:
    report(str(log.head))
    path = next(log.folder.glob("*.jsonl"))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert "the end was cut off" in cli("audit", "verify").out
    path.unlink()
    log.folder.rmdir()
    outcome = cli("audit", "verify")
    assert outcome.code == 1 and "ends at line 0" in outcome.out


def test_without_a_log_both_say_when_there_will_be_one(cli, made) -> None:
    for name in ("tail", "verify"):
        outcome = cli("audit", name)
        assert outcome.code == 1 and "begins with the first" in outcome.err


def test_without_the_pepper_nothing_can_be_checked(cli, log) -> None:
    Path("gateway-data/pepper").unlink()
    outcome = cli("audit", "verify")
    assert outcome.code == 1 and "pepper" in outcome.err


def test_without_a_store_the_log_is_checked_by_itself(cli, log) -> None:
    Path("gateway.db").unlink()
    assert cli("audit", "verify").code == 0
