"""Changing keys: the secret once, the right exit code, and live when the command returns."""

import asyncio
import threading
from pathlib import Path

import pytest

from gateway_proxy.admin import gateways
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.keys.secret import digest, looks_like_secret
from gateway_proxy.storage import open_store
from gateway_proxy.storage.registry import Gateway

SENTENCE = "This key will not be shown again. Make sure to save it securely."


def secret_in(text: str) -> str:
    [secret] = [word for word in text.split() if looks_like_secret(word)]
    return secret


def in_store(tmp_path: Path, work):
    async def run():
        store = await open_store(f"sqlite:{tmp_path}/gateway.db")
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def stored_digests(tmp_path: Path) -> dict[str, list[tuple[bytes, int | None]]]:
    async def read(store):
        _, records = await store.keys.load_keys()
        return {r.key_id: [(s.digest, s.expires_at) for s in r.secrets] for r in records}

    return in_store(tmp_path, read)


def attach(tmp_path: Path, applied_seq: int, age_ms: int = 0) -> None:
    async def write(store):
        now = Clock().now_ms()
        gateway = Gateway(new_id("gtw"), "g", "default", "1", now, now - age_ms, applied_seq, "")
        await store.registry.heartbeat(gateway)

    in_store(tmp_path, write)


def test_create_shows_the_secret_once_and_stores_its_digest(cli, tmp_path) -> None:
    outcome = cli("keys", "create", "--name", "alpha")
    assert (outcome.code, outcome.err) == (0, "")
    assert SENTENCE in outcome.out
    secret = secret_in(outcome.out)
    pepper = (tmp_path / "gateway-data" / "pepper").read_text().strip().encode()
    assert list(stored_digests(tmp_path).values()) == [[(digest(pepper, secret), None)]]
    assert secret.encode() not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )
    assert secret not in cli("keys", "list").out


def test_create_as_json_is_what_the_admin_api_answers(made) -> None:
    assert made.keys() == {"key", "secret"}
    assert looks_like_secret(made["secret"])
    assert made["key"]["live_on"] == {"gateways": 0, "acked": 0}
    assert (made["key"]["owner"], made["key"]["organization"]) == ("local", "default")


def test_the_only_owner_owns_by_default_and_others_must_exist(cli, made, tmp_path) -> None:
    async def add(store):
        return await store.registry.add_member("default", "ada@example.com", role="owner")

    member = in_store(tmp_path, add)
    shown = cli("keys", "create", "--name", "beta", "--json").json["key"]
    assert shown["owner"] == "ada@example.com"
    assert in_store(tmp_path, lambda store: store.keys.find(shown["id"])).owner_id == member.id
    outcome = cli("keys", "create", "--name", "c", "--owner", "eve@example.com")
    assert outcome.code == 2
    assert outcome.err.startswith("gateway-proxy: --owner: eve@example.com is not a member of default")


def test_update_by_name_and_by_id(cli, made) -> None:
    changed = cli("keys", "update", "alpha", "--rpm", "5", "--json").json
    assert (changed["requests_per_minute"], changed["revision"]) == (5, 2)
    changed = cli("keys", "update", made["key"]["id"], "--name", "beta", "--json").json
    assert (changed["name"], changed["requests_per_minute"]) == ("beta", 5)
    assert "nothing was changed" in cli("keys", "update", "beta", "--rpm", "5").out


def test_update_of_a_certain_revision_only(cli, made) -> None:
    assert cli("keys", "update", "alpha", "--rpm", "5", "--revision", "1").code == 0
    outcome = cli("keys", "update", "alpha", "--rpm", "6", "--revision", "1")
    assert outcome.code == 1
    assert "revision 2, not 1" in outcome.err


def test_merged_metadata_that_grows_too_large(cli, made) -> None:
    assert cli("keys", "update", "alpha", "--metadata", '{"a":"%s"}' % ("x" * 3000)).code == 0
    outcome = cli("keys", "update", "alpha", "--metadata", '{"b":"%s"}' % ("x" * 3000))
    assert outcome.code == 2
    assert outcome.err.startswith("gateway-proxy: --metadata: takes ")


def test_rotate(cli, made, tmp_path) -> None:
    key_id = made["key"]["id"]
    first = secret_in(cli("keys", "rotate", "alpha").out)
    assert len(stored_digests(tmp_path)[key_id]) == 1
    answer = cli("keys", "rotate", "alpha", "--grace", "60", "--json").json
    assert answer["secret"] not in (first, made["secret"])
    assert answer["key"]["id"] == key_id
    ends = sorted(end or 0 for _, end in stored_digests(tmp_path)[key_id])
    assert ends[0] == 0
    assert 0 < ends[1] - Clock().now_ms() <= 60_000


def test_statuses(cli, made) -> None:
    for command, status in (
        ("deactivate", "inactive"),
        ("revoke", "revoked"),
        ("activate", "active"),
        ("revoke", "revoked"),
        ("activate", "active"),
    ):
        assert cli("keys", command, "alpha", "--json").json["status"] == status
    outcome = cli("keys", "activate", "alpha")
    assert outcome.code == 0
    assert "nothing was changed" in outcome.out


def test_delete_is_final(cli, made) -> None:
    key_id = made["key"]["id"]
    assert cli("keys", "delete", key_id, "--json").json == {"id": key_id, "deleted": True}
    for command in ("delete", "show", "rotate", "activate", "revoke", "deactivate"):
        outcome = cli("keys", command, key_id)
        assert (outcome.code, outcome.err) == (1, f"gateway-proxy: there is no key {key_id}\n")


def test_a_name_that_two_keys_share_is_refused(cli, made) -> None:
    cli("keys", "create", "--name", "alpha")
    outcome = cli("keys", "delete", "alpha")
    assert outcome.code == 1
    assert "2 keys are named 'alpha'" in outcome.err
    assert len(cli("keys", "list", "--json").json["data"]) == 2


def test_a_lost_pepper_changes_nothing(cli, made, tmp_path) -> None:
    before = stored_digests(tmp_path)
    (tmp_path / "gateway-data" / "pepper").unlink()
    for arguments in (["create", "--name", "b"], ["rotate", "alpha"]):
        outcome = cli("keys", *arguments)
        assert outcome.code == 1
        assert "restore the file" in outcome.err
    (tmp_path / "gateway-data" / "pepper").write_text("z" * 64)
    assert "not the one" in cli("keys", "rotate", "alpha").err
    assert stored_digests(tmp_path) == before


class TestLive:
    def test_an_attached_gateway_that_lags_is_waited_for(self, cli, made, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(gateways, "LIVE_WAIT_SECONDS", 10.0)
        attach(tmp_path, applied_seq=1)
        catching_up = threading.Timer(0.3, lambda: in_store(tmp_path, catch_up))
        catching_up.start()
        shown = cli("keys", "update", "alpha", "--rpm", "5", "--json").json
        catching_up.join()
        assert shown["live_on"] == {"gateways": 1, "acked": 1}

    def test_one_that_does_not_answer_is_told(self, cli, made, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(gateways, "LIVE_WAIT_SECONDS", 0.05)
        attach(tmp_path, applied_seq=1)
        attach(tmp_path, applied_seq=99)
        attach(tmp_path, applied_seq=1, age_ms=60_000)
        assert "Live on 1 of 2 attached gateways" in cli("keys", "update", "alpha", "--rpm", "5").out


async def catch_up(store) -> None:
    [gateway] = await store.registry.list_gateways()
    await store.db.execute("UPDATE gateways SET applied_seq = 99 WHERE id = $1", gateway.id)


@pytest.mark.parametrize("command", ["update", "rotate", "revoke"])
def test_without_a_store_nothing_is_made(cli, tmp_path, command) -> None:
    flags = ["--rpm", "1"] if command == "update" else []
    outcome = cli("keys", command, "alpha", *flags)
    assert outcome.code == 1
    assert outcome.err.startswith("gateway-proxy: there is no store at ")
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_printed_once_and_narrowed_by_flags(cli, tmp_path) -> None:
    cli("keys", "create", "--name", "alpha", "--models", "gpt-4o,claude-*", "--mcp", "--mcp-servers", "a,b")
    outcome = cli(
        "keys", "ephemeral", "alpha", "--ttl", "60", "--models", "claude-3", "--budget-usd", "0.5", "--no-mcp"
    )
    assert (outcome.code, outcome.err) == (0, "") and SENTENCE in outcome.out
    [secret] = [word for word in outcome.out.split() if word.startswith("gwe_")]
    made = cli("keys", "ephemeral", "alpha", "--json").json
    assert made.keys() == {"id", "token", "expires_at", "parent_id"}
    tokens = [key for key in cli("keys", "list", "--json").json["data"] if key["kind"] == "ephemeral"]
    assert {token["parent_id"] for token in tokens} == {made["parent_id"]} and len(tokens) == 2
    [narrowed] = [token for token in tokens if token["id"] != made["id"]]
    assert (narrowed["allowed_models"], narrowed["budget_usd"], narrowed["mcp"]["enabled"]) == (
        ["claude-3"],
        "0.50",
        False,
    )
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert secret.encode() not in stored and made["token"].encode() not in stored


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["alpha", "--models", "other"], 2, "--models: names nothing that the parent allows"),
        (["alpha", "--ttl", "86401"], 2, "--ttl"),
        (["alpha", "--owner", "eve@example.com"], 2, "--owner"),
        (["paused"], 1, "only an active key can make tokens"),
        (["nobody"], 1, "nobody"),
    ],
)
def test_what_makes_no_token(cli, arguments: list[str], code: int, words: str) -> None:
    cli("keys", "create", "--name", "alpha", "--models", "gpt-4o")
    cli("keys", "create", "--name", "paused")
    cli("keys", "deactivate", "paused")
    outcome = cli("keys", "ephemeral", *arguments)
    assert outcome.code == code and words in outcome.err and outcome.out == ""


def test_a_token_makes_none_and_is_not_changed(cli) -> None:
    cli("keys", "create", "--name", "alpha")
    token = cli("keys", "ephemeral", "alpha", "--json").json["id"]
    for arguments in (["ephemeral"], ["update", "--rpm", "5"], ["rotate"]):
        outcome = cli("keys", arguments[0], token, *arguments[1:])
        assert outcome.code == 1 and "ephemeral token" in outcome.err
    assert cli("keys", "revoke", token, "--json").json["status"] == "revoked"
    assert "stays revoked" in cli("keys", "activate", token).err
