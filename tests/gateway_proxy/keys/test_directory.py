"""The directory: look-ups follow the records, at once and without a trace of what was deleted."""

import time
from dataclasses import replace

import pytest

from gateway_proxy.core.key import Key
from gateway_proxy.core.store import KeyRecord, StoredSecret
from gateway_proxy.keys.directory import KeyDirectory

NOW = 1_790_000_000_000
KEY = Key(id="key_a", name="a", organization="default", owner="local", metadata={"team": "é"})


def record(key: Key, *secrets: tuple[bytes, int | None]) -> KeyRecord:
    return KeyRecord(key.id, key, tuple(StoredSecret(digest, "p", end) for digest, end in secrets))


def test_find_by_digest_and_by_id() -> None:
    directory = KeyDirectory()
    directory.apply([record(KEY, (b"1", None))])
    policy = directory.find(b"1", NOW)
    assert policy is directory.policy("key_a")
    assert policy.key == KEY
    assert policy.metadata_json == '{"team":"é"}'
    assert directory.find(b"2", NOW) is None
    assert directory.policy("key_b") is None
    assert len(directory) == 1


def test_a_retired_secret_ends_to_the_millisecond() -> None:
    directory = KeyDirectory()
    directory.apply([record(KEY, (b"old", NOW), (b"new", None))])
    assert directory.find(b"old", NOW - 1) is directory.find(b"new", NOW)
    assert directory.find(b"old", NOW) is None


def test_a_rotation_drops_the_old_digest() -> None:
    directory = KeyDirectory()
    directory.apply([record(KEY, (b"old", None))])
    directory.apply([record(replace(KEY, revision=2), (b"new", None))])
    assert directory.find(b"old", NOW) is None
    assert directory.find(b"new", NOW).key.revision == 2


def test_a_policy_is_compiled_once_a_revision() -> None:
    directory = KeyDirectory()
    directory.apply([record(KEY, (b"1", None))])
    first = directory.policy("key_a")
    directory.apply([record(replace(KEY), (b"1", None))])
    assert directory.policy("key_a") is first
    directory.apply([record(replace(KEY, revision=2), (b"1", None))])
    assert directory.policy("key_a") is not first
    assert directory.find(b"1", NOW) is directory.policy("key_a")


def test_a_deleted_key_leaves_nothing() -> None:
    directory = KeyDirectory()
    directory.apply([record(KEY, (b"1", None), (b"2", NOW + 5))])
    directory.apply([KeyRecord("key_a", None), KeyRecord("key_never", None)])
    assert directory.find(b"1", NOW) is directory.find(b"2", NOW) is directory.policy("key_a") is None
    assert len(directory) == 0


def test_replace_tells_what_is_gone() -> None:
    directory = KeyDirectory()
    other = replace(KEY, id="key_b")
    directory.apply([record(KEY, (b"a", None)), record(other, (b"b", None))])
    kept = directory.policy("key_b")
    assert directory.replace([record(other, (b"b", None))]) == {"key_a"}
    assert directory.find(b"a", NOW) is None
    assert directory.find(b"b", NOW) is kept


def test_expired_tokens_are_dropped() -> None:
    directory = KeyDirectory()
    token = replace(KEY, id="key_t", kind="ephemeral", expires_at=NOW)
    longer = replace(token, id="key_u", expires_at=NOW + 1)
    directory.apply([record(key) for key in (token, longer, replace(KEY, expires_at=NOW - 1))])
    assert directory.drop_expired_tokens(NOW - 1) == []
    assert directory.drop_expired_tokens(NOW) == ["key_t"] and directory.key("key_t") is None
    assert len(directory) == 2
    directory.apply([KeyRecord("key_u", None)])
    assert directory.drop_expired_tokens(NOW + 1) == []


def test_looking_up_is_cheap() -> None:
    directory = KeyDirectory()
    directory.apply(record(replace(KEY, id=f"key_{n}"), (n.to_bytes(32, "big"), None)) for n in range(2000))
    digest = (1234).to_bytes(32, "big")
    rounds = []
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(1000):
            directory.find(digest, NOW)
        rounds.append(time.perf_counter() - begin)
    assert min(rounds) / 1000 < 1e-6


def test_a_broken_policy_refuses_its_own_key_only() -> None:
    broken = replace(KEY, id="key_b", ip_allowlist=("nonsense",))
    directory = KeyDirectory()
    directory.apply([record(broken, (b"b", None)), record(KEY, (b"a", None))])
    assert directory.find(b"a", NOW) is not None
    for _ in range(2):
        with pytest.raises(ValueError, match="nonsense"):
            directory.find(b"b", NOW)
    assert directory.key("key_b") == broken
    directory.apply([record(replace(broken, ip_allowlist=None), (b"b", None))])
    assert directory.find(b"b", NOW) is not None


def test_an_ended_grace_leaves_no_trace() -> None:
    directory = KeyDirectory()
    directory.apply([record(KEY, (b"1", NOW))])
    directory.apply([record(KEY, (b"1", None))])
    assert directory.find(b"1", NOW) is not None
    directory.apply([record(KEY, (b"1", NOW)), KeyRecord("key_a", None)])
    assert not directory._ends and not directory._by_digest and directory.key("key_a") is None
