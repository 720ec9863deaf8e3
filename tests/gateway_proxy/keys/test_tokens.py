"""Tokens at requests: verified once, and judged by the keys as they are now."""

import hashlib
from dataclasses import replace

import pytest

from gateway_proxy.core.key import Key, Status
from gateway_proxy.core.policy import TokenPolicy
from gateway_proxy.core.store import KeyRecord
from gateway_proxy.keys import tokens
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.keys.token import write_token
from gateway_proxy.keys.tokens import TokenDirectory
from tests.support.ephemeral import NOW, PARENT, make_token_key, row_of, signer

TOKEN = make_token_key()
SECRET = write_token(TOKEN, signer())


class Scene:
    """A directory of keys, and one of tokens over it."""

    def __init__(self, *keys: Key) -> None:
        self.keys = KeyDirectory()
        self.tokens = TokenDirectory(self.keys)
        self.tokens.pairs.take([row_of(signer())])
        self.put(*keys)

    def put(self, *keys: Key) -> None:
        self.keys.apply(KeyRecord(key.id, key) for key in keys)

    def find(self, secret: str = SECRET, now_ms: int = NOW):
        return self.tokens.find(hashlib.sha256(secret.encode()).digest(), secret, now_ms)

    def status(self, now_ms: int = NOW) -> Status:
        return self.find(now_ms=now_ms).status(now_ms)


def test_a_token_is_verified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(PARENT, TOKEN)
    first = scene.find()
    assert (
        isinstance(first, TokenPolicy) and first.key == TOKEN and first.parent is scene.keys.policy(PARENT.id)
    )
    monkeypatch.setattr(tokens, "read_token", None)
    assert scene.find() is first


def test_a_token_is_good_before_its_record_has_come() -> None:
    scene = Scene(replace(PARENT, metadata={"team": "a"}))
    policy = scene.find()
    assert policy.key.id == TOKEN.id and policy.status(NOW) is Status.ACTIVE
    assert policy.metadata_json == '{"team":"a"}'
    scene.put(replace(TOKEN, revoked_at=NOW))
    assert scene.status() is Status.REVOKED


@pytest.mark.parametrize("known", [True, False], ids=["with its record", "without"])
def test_the_parent_decides_too(known: bool) -> None:
    scene = Scene(PARENT, *([TOKEN] if known else []))
    assert scene.status() is Status.ACTIVE
    for change, status in (
        ({"inactive": True}, Status.INACTIVE),
        ({"inactive": False}, Status.ACTIVE),
        ({"expires_at": NOW}, Status.EXPIRED),
        ({"revoked_at": NOW}, Status.REVOKED),
        ({"revoked_at": None}, Status.ACTIVE),
        ({"generation": 2}, Status.REVOKED),
    ):
        scene.put(replace(PARENT, **change))
        assert scene.status() is status, change
    scene.keys.apply([KeyRecord(PARENT.id, None)])
    assert scene.status() is Status.REVOKED


def test_a_rotation_with_a_grace_lets_tokens_live_until_it_ends() -> None:
    scene = Scene(replace(PARENT, generation=2, fading=((1, NOW + 5),)), TOKEN)
    assert scene.status(NOW + 4) is Status.ACTIVE and scene.status(NOW + 5) is Status.REVOKED


def test_a_token_expires_to_the_millisecond() -> None:
    assert TOKEN.expires_at is not None
    scene = Scene(PARENT)
    assert scene.status(TOKEN.expires_at - 1) is Status.ACTIVE
    assert scene.status(TOKEN.expires_at) is Status.EXPIRED
    assert Scene(PARENT).status(TOKEN.expires_at) is Status.EXPIRED


def test_a_deleted_token_is_none_of_ours() -> None:
    scene = Scene(PARENT, TOKEN)
    scene.find()
    scene.tokens.bury([TOKEN.id], NOW)
    assert scene.find() is not None  # its record is still there
    scene.keys.apply([KeyRecord(TOKEN.id, None)])
    assert scene.find() is None
    scene.tokens.sweep(NOW + 3_600_000)
    assert scene.find(now_ms=NOW + 3_600_000) is None
    scene.tokens.sweep(NOW + 86_400_000)  # nothing of it can live: the word of the token is enough
    assert scene.status(NOW + 86_400_000) is Status.EXPIRED


def test_a_pair_that_is_no_longer_believed_ends_what_is_remembered() -> None:
    scene = Scene(PARENT, TOKEN)
    assert scene.find() is not None
    scene.tokens.pairs.take([row_of(signer(), NOW + 1)])
    assert scene.find() is not None and scene.find(now_ms=NOW + 1) is None
    scene.tokens.pairs.take([])
    assert scene.find() is None


def test_a_token_without_a_parent_stands_alone() -> None:
    alone = make_token_key(None, requests_per_minute=5)
    scene = Scene()
    policy = scene.find(write_token(alone, signer()))
    assert policy.key_ids == (alone.id,) and policy.parent is None and len(policy.requests_rules) == 1
    assert policy.strict and policy.status(NOW) is Status.ACTIVE


def test_garbage_is_none_of_ours_and_is_not_remembered() -> None:
    scene = Scene(PARENT)
    for secret in ("gwe_", "gwe_a.b.c", SECRET[:-1] + "_"):
        assert scene.find(secret) is None
    assert not scene.tokens._known


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 3)
    scene = Scene(PARENT)
    secrets = [write_token(replace(TOKEN, name=f"t{n}"), signer()) for n in range(5)]
    for secret in secrets:
        assert scene.find(secret) is not None
    assert len(scene.tokens._known) == 3
    for secret in secrets:
        assert scene.find(secret) is not None
    scene.tokens.sweep(NOW + 3_600_000)
    assert not scene.tokens._known


def test_a_parent_that_changed_makes_a_new_policy() -> None:
    scene = Scene(PARENT, TOKEN)
    assert scene.find().allows_model("gpt-4o")
    scene.put(replace(PARENT, allowed_models=("other",), requests_per_minute=7))
    policy = scene.find()
    assert not policy.allows_model("gpt-4o") and policy.allows_model("other")
    assert policy.requests_rules == scene.keys.policy(PARENT.id).requests_rules


def test_a_policy_by_id_has_the_parent_too() -> None:
    scene = Scene(replace(PARENT, allowed_models=("m",)), TOKEN)
    assert scene.tokens.policy(PARENT.id) is scene.keys.policy(PARENT.id)
    policy = scene.tokens.policy(TOKEN.id)
    assert policy is not None and policy.key is TOKEN and not policy.allows_model("other")
    assert scene.tokens.policy("key_none") is None


def test_a_shadowed_token_of_its_own_is_compiled_once() -> None:
    alone = make_token_key(None, shadow=True, allowed_models=())
    scene = Scene(alone)
    policy = scene.find(write_token(alone, signer()))
    assert policy.shadow is not None and policy.allows_model("any")
    assert scene.find(write_token(alone, signer())) is policy
