"""The life of a key: each step whole, logged, and free of secrets."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.key import Status
from gateway_proxy.keys.draft import DraftError
from gateway_proxy.keys.secret import digest, looks_like_secret, pepper_id, preview
from gateway_proxy.keys.service import (
    MAX_LIVE_TOKENS,
    Caller,
    Changed,
    KeyService,
    ServiceError,
    token_object,
)
from gateway_proxy.keys.signing import PublicKeys, SigningFile
from gateway_proxy.keys.token import read_token
from tests.support.fake_key_writer import FakeKeyWriter

PEPPER = b"pepper of the test"
ADA = Caller("ada", "default")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def writer() -> FakeKeyWriter:
    return FakeKeyWriter()


@pytest.fixture
def service(writer: FakeKeyWriter, clock: FakeClock, tmp_path: Path) -> KeyService:
    return KeyService(writer, clock, PEPPER, signing=SigningFile(tmp_path))


async def create(service: KeyService, **members) -> Changed:
    return await service.create({"name": "a", **members}, ADA, organization="default")


async def refusal(work) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await work
    return caught.value


async def test_create_stores_the_digest_and_hands_out_the_secret_once(service, writer, clock) -> None:
    made = await create(service, budget_usd="1.50")
    assert looks_like_secret(made.secret)
    assert made.key.preview == preview(made.secret)
    assert made.key.created_at == clock.now_ms()
    assert made.key.revision == 1
    [stored] = writer.secrets[made.key.id]
    assert (stored.digest, stored.pepper_id) == (digest(PEPPER, made.secret), pepper_id(PEPPER))
    [(action, key_id, actor, details)] = writer.changes
    assert (action, key_id, actor, made.sequence) == ("key.created", made.key.id, "ada", 1)
    assert json.loads(details) == {"revision": 1, "set": {"name": "a", "budget_usd": "1.50"}}


async def test_no_secret_in_repr_or_change_log(service, writer) -> None:
    made = await create(service)
    rotated = await service.rotate(made.key.id, {"grace_seconds": 60}, ADA)
    text = repr(made) + repr(rotated) + repr(writer.changes)
    assert made.secret not in text
    assert rotated.secret not in text


async def test_a_bad_draft_stores_nothing(service, writer) -> None:
    with pytest.raises(DraftError):
        await create(service, requests_per_minute=-1)
    assert not writer.keys
    assert not writer.changes


async def test_a_taken_id_is_a_conflict(service) -> None:
    made = await create(service)
    work = service.create({"name": "b"}, ADA, organization="default", key_id=made.key.id)
    assert (await refusal(work)).code == "conflict"


async def test_a_change_without_its_log_row_does_not_happen(service, writer) -> None:
    made = await create(service)
    writer.fail_on_record = True
    for work in (service.revoke(made.key.id, ADA), service.rotate(made.key.id, {}, ADA), create(service)):
        with pytest.raises(RuntimeError):
            await work
    assert writer.keys == {made.key.id: made.key}
    assert [s.digest for s in writer.secrets[made.key.id]] == [digest(PEPPER, made.secret)]


async def test_update_raises_the_revision_and_logs_both_values(service, writer) -> None:
    made = await create(service, metadata={"n": 1})
    changed = await service.update(made.key.id, {"name": "b", "metadata": {"n": True}}, ADA)
    assert (changed.key.name, changed.key.revision, changed.secret) == ("b", 2, None)
    assert json.loads(writer.changes[-1][3]) == {
        "revision": 2,
        "changes": {"name": ["a", "b"], "metadata": [{"n": 1}, {"n": True}]},
    }


async def test_an_edit_that_changes_nothing_is_none(service, writer) -> None:
    made = await create(service)
    assert await service.update(made.key.id, {"name": "a"}, ADA) == Changed(made.key)
    assert await service.activate(made.key.id, ADA) == Changed(made.key)
    assert len(writer.changes) == 1


async def test_if_match(service) -> None:
    made = await create(service)
    await service.update(made.key.id, {"name": "b"}, ADA, revisions=[1])
    for work in (
        service.update(made.key.id, {"name": "c"}, ADA, revisions=[1]),
        service.rotate(made.key.id, {}, ADA, revisions=[1]),
        service.deactivate(made.key.id, ADA, revisions=[1]),
        service.activate(made.key.id, ADA, revisions=[1]),
        service.revoke(made.key.id, ADA, revisions=[1]),
        service.delete(made.key.id, ADA, revisions=[1]),
    ):
        error = await refusal(work)
        assert error.code == "precondition"
        assert "revision 2, not 1" in error.message


async def test_foreign_and_missing_keys_look_alike(service) -> None:
    made = await create(service)
    mallory = Caller("mallory", "other")
    foreign = await refusal(service.revoke(made.key.id, mallory))
    missing = await refusal(service.revoke("key_x", mallory))
    assert foreign.code == missing.code == "not_found"
    assert foreign.message.replace(made.key.id, "key_x") == missing.message
    assert (await service.revoke(made.key.id, Caller("root"))).key.revoked_at is not None


async def test_rotation_keeps_the_key_and_ends_the_old_secret(service, writer) -> None:
    made = await create(service, budget_usd=1)
    rotated = await service.rotate(made.key.id, {}, ADA)
    assert rotated.key.id == made.key.id
    assert rotated.key.budget_nanos == made.key.budget_nanos
    assert rotated.key.preview == preview(rotated.secret) != made.key.preview
    assert [s.digest for s in writer.secrets[made.key.id]] == [digest(PEPPER, rotated.secret)]


async def test_rotation_with_grace_never_prolongs_an_older_secret(service, writer, clock) -> None:
    made = await create(service)
    first_end = clock.now_ms() + 60_000
    await service.rotate(made.key.id, {"grace_seconds": 60}, ADA)
    second_end = clock.now_ms() + 3_600_000
    await service.rotate(made.key.id, {"grace_seconds": 3600}, ADA)
    assert [s.expires_at for s in writer.secrets[made.key.id]] == [first_end, second_end, None]


async def test_grace_is_checked(service) -> None:
    made = await create(service)
    for grace in (-1, 30 * 86_400 + 1, "60", 1.5):
        with pytest.raises(DraftError):
            await service.rotate(made.key.id, {"grace_seconds": grace}, ADA)


async def test_owners_are_looked_up_when_they_are_set(writer, clock) -> None:
    members = {"ada@example.com": "mem_a", "bob@example.com": "mem_b", "local": ""}
    asked = []

    async def find_owner(organization: str, owner: str) -> str | None:
        asked.append((organization, owner))
        return members.get(owner)

    service = KeyService(writer, clock, PEPPER, find_owner)
    key = (await create(service, owner="ada@example.com")).key
    assert key.owner_id == "mem_a"
    assert (await create(service)).key.owner_id == ""
    assert (await service.update(key.id, {"owner": "bob@example.com"}, ADA)).key.owner_id == "mem_b"
    asked.clear()
    await service.update(key.id, {"strict": True}, ADA)
    assert asked == []
    with pytest.raises(DraftError, match=r"eve@example\.com is not a member"):
        await service.update(key.id, {"owner": "eve@example.com"}, ADA)


class TestStatus:
    async def test_a_pause_and_its_end(self, service, clock) -> None:
        key_id = (await create(service)).key.id
        assert (await service.deactivate(key_id, ADA)).key.status(clock.now_ms()) is Status.INACTIVE
        assert (await service.activate(key_id, ADA)).key.status(clock.now_ms()) is Status.ACTIVE

    async def test_revoked_wins_and_activation_lifts_both(self, service, clock) -> None:
        key_id = (await create(service)).key.id
        await service.deactivate(key_id, ADA)
        revoked = (await service.revoke(key_id, ADA)).key
        assert revoked.status(clock.now_ms()) is Status.REVOKED
        clock.advance(60)
        assert (await service.revoke(key_id, ADA)).key == revoked
        assert (await service.activate(key_id, ADA)).key.status(clock.now_ms()) is Status.ACTIVE

    async def test_an_expired_key_needs_a_new_expiry_first(self, service, clock) -> None:
        key_id = (await create(service, expires_in="30d")).key.id
        clock.advance(30 * 86_400)
        for prepare in (service.deactivate, service.revoke):
            await prepare(key_id, ADA)
            assert (await refusal(service.activate(key_id, ADA))).code == "conflict"
        await service.update(key_id, {"expires_in": "30d"}, ADA)
        assert (await service.activate(key_id, ADA)).key.status(clock.now_ms()) is Status.ACTIVE

    async def test_expiry_is_to_the_millisecond(self, service, clock) -> None:
        key = (await create(service, expires_in="30d")).key
        assert key.status(key.expires_at - 1) is Status.ACTIVE
        assert key.status(key.expires_at) is Status.EXPIRED

    async def test_deletion_is_final_and_leaves_its_log(self, service, writer) -> None:
        key_id = (await create(service)).key.id
        await service.delete(key_id, ADA)
        for work in (
            service.activate(key_id, ADA),
            service.rotate(key_id, {}, ADA),
            service.delete(key_id, ADA),
        ):
            assert (await refusal(work)).code == "not_found"
        assert [row[0] for row in writer.changes] == ["key.created", "key.deleted"]


class TestTokens:
    def read(self, writer: FakeKeyWriter, secret: str, now_ms: int):
        pairs = PublicKeys()
        pairs.take(writer.signing_keys.values())
        return read_token(secret, pairs, now_ms)

    async def test_a_token_is_stored_without_its_secret(self, service, writer, clock) -> None:
        parent = (await create(service, allowed_models=["gpt-4o"])).key
        made = await service.mint(parent.id, {"ttl_seconds": 60, "budget_usd": "0.5"}, ADA)
        verified = self.read(writer, made.secret, clock.now_ms())
        assert verified.key.id == made.key.id and verified.key.allowed_models == ("gpt-4o",)
        assert writer.keys[made.key.id] == made.key and made.key.id not in writer.secrets
        action, key_id, actor, details = writer.changes[-1]
        assert (action, key_id, actor, made.sequence) == ("key.minted", made.key.id, "ada", 2)
        assert (
            json.loads(details)["parent_id"] == parent.id
            and json.loads(details)["set"]["budget_usd"] == "0.50"
        )
        assert made.secret not in repr(made) + repr(writer.changes)
        assert token_object(made)["token"] == made.secret and token_object(made)["parent_id"] == parent.id
        [row] = writer.signing_keys.values()
        assert row.kid == verified.kid
        await service.mint(parent.id, {}, ADA)
        assert list(writer.signing_keys.values()) == [row]

    async def test_a_token_of_the_form_has_no_parent(self, service, writer, clock) -> None:
        made = await create(service, ephemeral=True, ttl_seconds=60, requests_per_minute=3)
        assert made.secret.startswith("gwe_") and not writer.secrets.get(made.key.id)
        assert made.key.kind == "ephemeral" and made.key.parent_id is None
        assert writer.changes[-1][0] == "key.created"
        assert self.read(writer, made.secret, clock.now_ms()).key.requests_per_minute == 3

    async def test_a_token_is_what_it_is(self, service) -> None:
        parent = (await create(service)).key
        token = (await service.mint(parent.id, {}, ADA)).key
        assert (await refusal(service.mint(token.id, {}, ADA))).code == "not_allowed"
        assert (await refusal(service.update(token.id, {"requests_per_minute": 9}, ADA))).code == "conflict"
        assert (await refusal(service.rotate(token.id, {}, ADA))).code == "conflict"
        assert (await service.deactivate(token.id, ADA)).key.inactive
        assert not (await service.activate(token.id, ADA)).key.inactive
        assert (await service.hand_over(token.id, "bob@example.com", ADA)).key.owner == "bob@example.com"
        assert (await service.revoke(token.id, ADA)).key.revoked_at is not None
        error = await refusal(service.activate(token.id, ADA))
        assert error.code == "conflict" and "stays revoked" in error.message
        await service.delete(token.id, ADA)

    @pytest.mark.parametrize("act", ["deactivate", "revoke"])
    async def test_only_an_active_key_makes_tokens(self, service, act: str) -> None:
        parent = (await create(service)).key
        await getattr(service, act)(parent.id, ADA)
        error = await refusal(service.mint(parent.id, {}, ADA))
        assert error.code == "conflict" and "only an active key" in error.message
        assert (await refusal(service.mint("key_none", {}, ADA))).code == "not_found"
        assert (await refusal(service.mint(parent.id, {}, Caller("eve", "other")))).code == "not_found"

    async def test_a_key_in_its_last_second_makes_none(self, service, writer, clock) -> None:
        parent = (await create(service)).key
        writer.keys[parent.id] = replace(parent, expires_at=clock.now_ms() + 999)
        assert "expires within a second" in (await refusal(service.mint(parent.id, {}, ADA))).message

    async def test_live_tokens_are_bounded(self, service, writer, monkeypatch) -> None:
        parent = (await create(service)).key
        assert MAX_LIVE_TOKENS == 10_000
        monkeypatch.setattr("gateway_proxy.keys.service.MAX_LIVE_TOKENS", 2)
        tokens = [(await service.mint(parent.id, {}, ADA)).key for _ in range(2)]
        assert "2 live tokens already" in (await refusal(service.mint(parent.id, {}, ADA))).message
        await service.revoke(tokens[0].id, ADA)
        await service.mint(parent.id, {}, ADA)

    async def test_the_end_of_a_key_is_the_end_of_its_tokens(self, service, writer, clock) -> None:
        parent = (await create(service)).key
        token = (await service.mint(parent.id, {}, ADA)).key
        rotated = (await service.rotate(parent.id, {"grace_seconds": 60}, ADA)).key
        assert rotated.generation == 2 and rotated.fading == ((1, clock.now_ms() + 60_000),)
        assert rotated.honours(token.generation, clock.now_ms() + 59_999)
        assert writer.keys[token.id].expires_at == clock.now_ms() + 60_000
        second = (await service.mint(parent.id, {}, ADA)).key
        assert second.generation == 2
        of_old = (await service.mint(parent.id, {}, ADA, clock.now_ms() + 60_000)).key
        assert of_old.expires_at == clock.now_ms() + 60_000
        assert (
            "old secret expires" in (await refusal(service.mint(parent.id, {}, ADA, clock.now_ms()))).message
        )
        again = (await service.rotate(parent.id, {"grace_seconds": 30}, ADA)).key
        assert again.fading == ((2, clock.now_ms() + 30_000), (1, clock.now_ms() + 30_000))
        last = (await service.rotate(parent.id, {}, ADA)).key
        assert (last.generation, last.fading) == (4, ())
        assert writer.keys[second.id].revoked_at == clock.now_ms()
        third = (await service.mint(parent.id, {}, ADA)).key
        revoked = (await service.revoke(parent.id, ADA)).key
        assert revoked.generation == 5 and writer.keys[third.id].revoked_at is not None
        active = (await service.activate(parent.id, ADA)).key
        assert not active.honours(third.generation, clock.now_ms())
        fourth = (await service.mint(parent.id, {}, ADA)).key
        await service.delete(parent.id, ADA)
        assert writer.keys[fourth.id].revoked_at is not None

    async def test_too_many_names_are_a_mistake_at_their_member(self, service) -> None:
        parent = (await create(service)).key
        with pytest.raises(DraftError, match="allowed_models: is too long for a token") as caught:
            await service.mint(parent.id, {"allowed_models": [f"model-number-{n}" for n in range(200)]}, ADA)
        assert caught.value.errors[0].path == "allowed_models"

    async def test_a_new_pair_signs_and_the_old_is_believed_for_a_day(self, service, writer, clock) -> None:
        parent = (await create(service)).key
        before = (await service.mint(parent.id, {}, ADA)).secret
        kid = await service.rotate_signing_key(ADA)
        assert writer.changes[-1][0] == "gateway.signing_key_rotated"
        after = (await service.mint(parent.id, {}, ADA)).secret
        now_ms = clock.now_ms()
        assert self.read(writer, after, now_ms).kid == kid
        assert self.read(writer, before, now_ms + 86_399_999).kid != kid
        assert self.read(writer, before, now_ms + 86_400_000) is None
        await service.rotate_signing_key(ADA, at_once=True)
        assert self.read(writer, before, now_ms) is None and self.read(writer, after, now_ms) is None

    async def test_a_pair_that_was_replaced_does_not_sign(self, service, writer, clock) -> None:
        parent = (await create(service)).key
        await service.mint(parent.id, {}, ADA)
        await writer.retire_signing_keys(next(iter(writer.signing_keys.values())).gateway_id, clock.now_ms())
        assert "replaced meanwhile" in (await refusal(service.mint(parent.id, {}, ADA))).message

    async def test_without_a_pair_none_are_made(self, writer, clock, tmp_path) -> None:
        (tmp_path / "file").touch()
        for signing in (None, SigningFile(tmp_path / "file")):
            service = KeyService(writer, clock, PEPPER, signing=signing)
            parent = (await create(service)).key
            for work in (service.mint(parent.id, {}, ADA), service.rotate_signing_key(ADA)):
                assert (await refusal(work)).code == "unavailable"
