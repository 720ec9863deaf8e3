"""The audit log of a real gateway: every act once, over SIGKILL and while it was down, and verified from outside."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

WAIT_SECONDS = 5.0


@pytest.fixture
def gateway(provider: FakeProvider, start_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return start_gateway(provider_toml(provider.base_url))


def audit(gateway: RunningGateway, *arguments: str) -> tuple[int, dict]:
    command = [
        sys.executable,
        "-m",
        "gateway_proxy",
        "audit",
        *arguments,
        "--json",
        "-c",
        str(gateway.config_path),
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    return done.returncode, json.loads(done.stdout)


def wait_for_head(gateway: RunningGateway, seq: int) -> None:
    """Until the head of at least this number is reported."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        heads = gateway.query("SELECT head FROM audit_heads")
        if heads and int(heads[0]["head"].partition(":")[0]) >= seq:
            return
        assert time.monotonic() < deadline, f"{heads}: {gateway.log_text()}"
        time.sleep(0.02)


def test_every_act_is_written_once_over_kills_and_absences(gateway: RunningGateway) -> None:
    key = gateway.create_key("first")
    gateway.update_key(key.id, name="renamed")
    wait_for_head(gateway, 2)
    gateway.kill()
    gateway.create_key("while down")
    gateway.start()
    secret = gateway.rotate_key(key.id).secret
    wait_for_head(gateway, 4)
    assert gateway.stop() == 0
    assert gateway.query("SELECT * FROM gateways") == []  # a clean stop takes its row, not what it reported
    code, verdict = audit(gateway, "verify")
    assert code == 0 and verdict["logs"][0]["entries"] == 4
    assert verdict["logs"][0]["reported_head"] == verdict["logs"][0]["head"]
    _, shown = audit(gateway, "tail")
    assert [(entry["action"], entry["change"]) for entry in shown["data"]] == [
        ("key.created", 1),
        ("key.updated", 2),
        ("key.created", 3),
        ("key.rotated", 4),
    ]
    assert shown["data"][1]["details"]["changes"]["name"] == ["first", "renamed"]
    text = b"".join(path.read_bytes() for path in gateway.data_dir.glob("audit/*/*.jsonl"))
    assert key.secret.encode() not in text and secret.encode() not in text


def test_the_admin_side_tells_of_acts_and_of_the_log_beside_it(gateway: RunningGateway) -> None:
    token = gateway.admin_token("viewer")
    key = gateway.create_key("first")
    wait_for_head(gateway, 2)
    _, page = gateway.fetch("/api/v1/audit?action=key.*", secret=token)
    assert [(act["action"], act["subject"]) for act in page["data"]] == [("key.created", key.id)]
    assert gateway.fetch("/api/v1/audit/chains", secret=token)[1]["data"][0]["status"] == "ok"
    log = next(gateway.data_dir.glob("audit/*/*.jsonl")).read_text().splitlines()
    assert json.loads(log[-1])["id"] == page["data"][0]["id"]


def test_a_cut_is_found_even_after_the_gateway_went_on(gateway: RunningGateway) -> None:
    for n in range(4):
        gateway.create_key(f"key {n}")
    wait_for_head(gateway, 4)
    gateway.kill()
    [path] = gateway.data_dir.glob("audit/*/*.jsonl")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    code, verdict = audit(gateway, "verify")
    assert code == 1 and "cut off" in verdict["logs"][0]["fault"]
    gateway.start()
    wait_for_head(gateway, 5)
    code, verdict = audit(gateway, "verify")
    assert code == 1 and verdict["logs"][0]["line"] == 3 and "missing" in verdict["logs"][0]["fault"]
    assert "ALARM" in gateway.log_text()


def test_acts_are_live_while_the_audit_disk_refuses(gateway: RunningGateway) -> None:
    gateway.create_key("before")
    wait_for_head(gateway, 1)
    gateway.stop()
    [folder] = gateway.data_dir.glob("audit/*")
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("in the way")
    gateway.start()
    key = gateway.create_key("during")
    assert gateway.fetch("/v1/models", secret=key.secret)[0] == 200
    readiness = gateway.readiness()
    assert readiness["status"] == "ready" and "cannot be written" in readiness["audit"]["error"]
    assert "ALARM" in gateway.log_text()
    folder.unlink()
    aside.rename(folder)
    wait_for_head(gateway, 2)
    assert audit(gateway, "verify")[0] == 0
