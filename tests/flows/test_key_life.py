"""A key's life by the command line against the running gateway: each change is live within a second."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.command_line import command, create, keys
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

LIVE_SECONDS = 1.0
KEY_MEMBERS = {
    "id", "kind", "parent_id", "organization", "preview", "status", "created_at", "name", "owner", "expires_at",
    "requests_per_minute", "tokens_per_minute", "burst", "max_parallel_requests", "budget_usd", "budget_period",
    "budget_timezone", "alert_thresholds", "allowed_providers", "allowed_models", "allowed_endpoints", "ip_allowlist",
    "metadata", "strict", "shadow", "mcp", "last_used_at", "requests", "usage_percent", "spent_usd", "reserved_usd", "revision",
    "live_on",
}  # fmt: skip


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider) -> Iterator[RunningGateway]:
    tables = provider_toml(provider.base_url, extra='models = ["fake-embedding"]') + (
        '[[models]]\nname = "chat"\ntargets = [{ provider = "fake", model = "fake-large" }]\n'
        "price = { input = 1, output = 2 }\nmax_output_tokens = 4096\nmax_input_tokens = 100000\n"
    )
    with RunningGateway(tables) as running:
        yield running


def ask(gateway: RunningGateway, secret: str, **members: Any) -> str:
    """A chat request: "ok" or the code of the refusal."""
    status, code = gateway.ask(secret, **members)
    return "ok" if status == 200 else code


def expect(gateway: RunningGateway, secret: str, wanted: str, **members: Any) -> None:
    """The answer must become `wanted` within a second from now, when the command has returned."""
    started = time.monotonic()
    while (answer := ask(gateway, secret, **members)) != wanted:
        assert time.monotonic() - started < LIVE_SECONDS, f"{answer}, not {wanted}"
        time.sleep(0.005)


def test_a_new_key_works_and_is_shown(gateway: RunningGateway) -> None:
    made = keys(
        gateway,
        "create",
        "--name",
        "Production API",
        "--rpm",
        "600",
        "--budget-usd",
        "25.00",
        "--models",
        "chat",
    )
    assert made.keys() == {"key", "secret"}
    shown = made["key"]
    assert shown.keys() == KEY_MEMBERS
    assert (shown["status"], shown["budget_usd"], shown["revision"]) == ("active", "25.00", 1)
    assert shown["live_on"] == {"gateways": 1, "acked": 1}
    assert made["secret"].startswith(shown["preview"][:8]) and made["secret"] not in str(shown)
    expect(gateway, made["secret"], "ok")
    assert keys(gateway, "show", shown["id"]).keys() == KEY_MEMBERS
    listed = keys(gateway, "list", "--search", "Production")
    assert [key["id"] for key in listed["data"]] == [shown["id"]] and listed["next_cursor"] is None


def test_narrowing_and_widening_scopes(gateway: RunningGateway) -> None:
    key = create(gateway)
    expect(gateway, key.secret, "ok")
    for flag, narrow, code in (
        ("models", "gpt-*", "model_not_found"),
        ("models", "none", "model_not_found"),
        ("ips", "10.0.0.0/8", "ip_not_allowed"),
        ("providers", "none", "provider_not_allowed"),
        ("endpoints", "embeddings", "endpoint_not_allowed"),
    ):
        changed = keys(gateway, "update", key.id, f"--{flag}", narrow)
        assert changed.keys() == KEY_MEMBERS
        expect(gateway, key.secret, code)
        keys(gateway, "update", key.id, f"--no-{flag}")
        expect(gateway, key.secret, "ok")
    keys(gateway, "update", key.id, "--models", "ch*", "--ips", "127.0.0.1", "--providers", "fake")
    expect(gateway, key.secret, "ok")


def test_limits_come_and_go(gateway: RunningGateway) -> None:
    key = create(gateway)
    for flag in ("rpm", "tpm", "max-parallel"):
        keys(gateway, "update", key.id, f"--{flag}", "0")
        expect(gateway, key.secret, "rate_limit_exceeded")
        keys(gateway, "update", key.id, f"--no-{flag}")
        expect(gateway, key.secret, "ok")
    keys(gateway, "update", key.id, "--rpm", "1")
    expect(gateway, key.secret, "rate_limit_exceeded")


def test_a_budget_is_raised_lowered_and_cleared_and_forgets_nothing(gateway: RunningGateway) -> None:
    key = create(gateway)
    expect(gateway, key.secret, "ok")  # spent before there was a budget
    keys(gateway, "update", key.id, "--budget-usd", "0.00001")
    expect(gateway, key.secret, "insufficient_quota")
    keys(gateway, "update", key.id, "--budget-usd", "1")
    expect(gateway, key.secret, "ok")
    spent = gateway.key_state(key.secret)["budget"]["spent_usd"]
    assert float(spent) == pytest.approx(2 * 0.000024)  # 8 tokens each way, twice
    keys(gateway, "update", key.id, "--budget-usd", "0.00002")  # below what is spent
    expect(gateway, key.secret, "insufficient_quota")
    keys(gateway, "rotate", key.id, "--grace", "60")
    assert gateway.key_state(key.secret)["budget"]["spent_usd"] == spent
    gateway.settled_rows()  # the books are written a moment later
    assert keys(gateway, "show", key.id)["spent_usd"] == spent
    keys(gateway, "update", key.id, "--no-budget-usd")
    expect(gateway, key.secret, "ok")


def test_the_old_secret_dies_at_once_or_after_its_grace(gateway: RunningGateway) -> None:
    key = create(gateway)
    second = keys(gateway, "rotate", key.id)
    assert second.keys() == {"key", "secret"} and second["key"]["id"] == key.id
    expect(gateway, key.secret, "invalid_api_key")
    expect(gateway, second["secret"], "ok")
    rotated_at = time.monotonic()
    third = keys(gateway, "rotate", key.id, "--grace", "2")
    while time.monotonic() < rotated_at + 1:
        assert ask(gateway, second["secret"]) == ask(gateway, third["secret"]) == "ok"
    while ask(gateway, second["secret"]) == "ok":
        assert time.monotonic() < rotated_at + 2 + LIVE_SECONDS
    assert time.monotonic() > rotated_at + 1.9
    assert ask(gateway, second["secret"]) == "invalid_api_key"
    assert ask(gateway, third["secret"]) == "ok"


def test_pause_revocation_and_what_activate_lifts(gateway: RunningGateway) -> None:
    key = create(gateway)
    assert keys(gateway, "deactivate", key.id)["status"] == "inactive"
    expect(gateway, key.secret, "key_inactive")
    assert keys(gateway, "activate", key.id)["status"] == "active"
    expect(gateway, key.secret, "ok")
    assert keys(gateway, "revoke", key.id)["status"] == "revoked"
    expect(gateway, key.secret, "key_revoked")
    keys(gateway, "deactivate", key.id)
    expect(gateway, key.secret, "key_revoked")
    keys(gateway, "activate", key.id)
    expect(gateway, key.secret, "ok")
    keys(gateway, "revoke", key.id)
    deleted = keys(gateway, "delete", key.id)
    assert deleted == {"id": key.id, "deleted": True}
    expect(gateway, key.secret, "invalid_api_key")
    gone = command("keys", "show", key.id, "-c", str(gateway.config_path))
    assert (gone.code, gone.err) == (1, f"gateway-proxy: there is no key {key.id}\n")


def test_expiry_is_kept_to_the_moment(gateway: RunningGateway) -> None:
    key = create(gateway)
    expires_at = time.time() + 1.5
    text = (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(expires_at)) + f".{int(expires_at * 1000) % 1000:03}Z"
    )
    keys(gateway, "update", key.id, "--expires", text)
    assert ask(gateway, key.secret) == "ok"
    while ask(gateway, key.secret) == "ok":
        assert time.time() < expires_at + 0.5
    assert time.time() >= expires_at - 0.01
    assert ask(gateway, key.secret) == "key_expired"
    refused = command("keys", "activate", key.id, "-c", str(gateway.config_path))
    assert refused.code == 1 and "has expired" in refused.err
    assert keys(gateway, "show", key.id)["status"] == "expired"
    keys(gateway, "update", key.id, "--no-expires")
    expect(gateway, key.secret, "ok")


def test_a_wrong_change_changes_nothing(gateway: RunningGateway) -> None:
    key = create(gateway, "--models", "chat")
    before = keys(gateway, "show", key.id)
    for flags, named in (
        (("--ips", "192.168.1.7/24"), "192.168.1.0/24"),
        (("--budget-usd", "-1"), "--budget-usd"),
        (("--rpm", "many"), "--rpm"),
        (("--alerts", "0"), "--alerts"),
        (("--endpoints", "chatt"), "--endpoints"),
        (("--metadata", "[]"), "--metadata"),
        (("--models", "a**"), "--models"),
        (("--expires", "2020-01-01"), "--expires"),
    ):
        refused = command("keys", "update", key.id, *flags, "-c", str(gateway.config_path))
        assert refused.code == 2 and named in refused.err, (flags, refused)
        assert refused.err.count("\n") == 1
    after = keys(gateway, "show", key.id)
    assert {**after, "live_on": None} == {**before, "live_on": None}
