"""The life of a key: created, edited, rotated, paused, revoked, deleted; each step one transaction.

Every change to a key leaves a row in the change log, which is also how gateways learn of it. A secret
passes through here once, on its way to whoever asked; only its digest is handed on. Who may do what
is decided by the caller.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.key import Key, Status
from gateway_proxy.core.store import Change, KeyWriter, SigningKey
from gateway_proxy.keys.draft import DraftError, apply_creation, apply_patch, read_grace_seconds
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.narrow import narrow
from gateway_proxy.keys.secret import digest, mint, pepper_id, preview
from gateway_proxy.keys.signing import MAX_TTL_SECONDS, Signer, SigningError, SigningFile
from gateway_proxy.keys.token import TooLong, write_token
from gateway_proxy.keys.view import changed_members, scope_members

MAX_GRACE_SECONDS = 30 * 86_400
MAX_LIVE_TOKENS = 10_000
"""Of one key: each takes memory in every gateway."""

# Organization and owner → the member's id ("" for an owner without one), None if there is no such member.
FindOwner = Callable[[str, str], Awaitable[str | None]]
Revisions = Collection[int] | None  # those that a change is meant for; None is any
ServiceErrorCode = Literal["not_found", "conflict", "precondition", "not_allowed", "unavailable"]


class ServiceError(Exception):
    """The change was refused and nothing happened; `code` is not_found, conflict, precondition, not_allowed, or
    unavailable: nothing is wrong with what was asked."""

    def __init__(self, code: ServiceErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Caller:
    """Who changes keys. Keys of another organization do not exist for them; None sees all."""

    name: str
    organization: str | None = None
    ip: str = ""  # where they asked from, for the change log


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that is committed. `sequence` is None where nothing had to be changed."""

    key: Key
    sequence: int | None = None
    secret: str | None = field(default=None, repr=False)


class KeyService:
    """Changes keys in a store. Every method may raise ServiceError, and what the store raises.

    Without `signing` no ephemeral tokens can be made.
    """

    def __init__(
        self,
        writer: KeyWriter,
        clock: Clock,
        pepper: bytes,
        find_owner: FindOwner | None = None,
        signing: SigningFile | None = None,
    ) -> None:
        self._find_owner = find_owner
        self._signing = signing
        self._writer = writer
        self._clock = clock
        self._pepper = pepper
        self._pepper_id = pepper_id(pepper)

    async def create(
        self,
        document: object,
        caller: Caller,
        *,
        organization: str,
        owner: str = "local",
        key_id: str | None = None,
    ) -> Changed:
        """A new key, or a token without a parent, and its secret. `owner` stands in where the document names none.
        Raises DraftError.

        `key_id` is for imports, which must find their keys again: one that is taken is a conflict.
        """
        now_ms = self._clock.now_ms()
        secret = mint("gwk")
        blank = Key(
            id=key_id or new_id("key"),
            name="",
            organization=organization,
            owner=owner,
            preview=preview(secret),
            created_at=now_ms,
        )
        key = await self._resolve_owner(apply_creation(blank, document, now_ms))
        signer = await self._load_signer() if key.is_ephemeral else None
        async with self._writer.change() as change:
            if key_id is not None and await change.find_key(key_id) is not None:
                raise ServiceError("conflict", f"key {key_id} exists already")
            if signer is not None:
                return await self._issue(change, "key.created", key, signer, caller)
            await change.save_key(key)
            await change.add_secret(key.id, digest(self._pepper, secret), self._pepper_id)
            given = {member: after for member, (_, after) in changed_members(blank, key).items()}
            sequence = await self._record(change, "key.created", key, caller, {"set": given})
        return Changed(key, sequence, secret)

    async def mint(
        self, parent_id: str, document: object, caller: Caller, ends_at: int | None = None
    ) -> Changed:
        """A token from a key: its scopes narrowed by the document, its limits within the key's. Raises DraftError.

        `ends_at`: when the secret that asks for it ends, and every token of it.
        """
        signer = await self._load_signer()
        now_ms = self._clock.now_ms()
        async with self._writer.change() as change:
            parent = await _find(change, parent_id, caller, None)
            if parent.is_ephemeral:
                raise ServiceError("not_allowed", "an ephemeral token cannot make tokens; use the key itself")
            status = parent.status(now_ms)
            if status is not Status.ACTIVE:
                raise ServiceError(
                    "conflict", f"key {parent_id} is {status.value}; only an active key can make tokens"
                )
            if ends_at is not None:
                parent = replace(parent, expires_at=min(ends_at, parent.expires_at or ends_at))
            token, inherited = narrow(parent, document, new_id("key"), now_ms)
            assert token.expires_at is not None
            if token.expires_at <= now_ms:
                raise ServiceError(
                    "conflict",
                    f"key {parent_id} or its old secret expires within a second; edit its expiry, or use the new secret",
                )
            if await change.has_tokens(parent_id, now_ms, MAX_LIVE_TOKENS):
                raise ServiceError(
                    "conflict",
                    f"key {parent_id} has {MAX_LIVE_TOKENS} live tokens already; use them again, or make short-lived ones",
                )
            return await self._issue(change, "key.minted", token, signer, caller, inherited)

    async def rotate_signing_key(self, caller: Caller, *, at_once: bool = False) -> str:
        """A new pair for this gateway; returns its `kid`. What the old one signed lives on, unless `at_once`."""
        if self._signing is None:
            raise _cannot_sign()
        now_ms = self._clock.now_ms()
        try:
            signer = await asyncio.to_thread(self._signing.replace)
        except SigningError as error:
            raise ServiceError("unavailable", str(error)) from None
        async with self._writer.change() as change:
            until = now_ms if at_once else now_ms + MAX_TTL_SECONDS * 1000
            await change.retire_signing_keys(signer.gateway_id, until)
            await change.add_signing_key(SigningKey(signer.kid, signer.gateway_id, signer.public_key, now_ms))
            details = json.dumps({"kid": signer.kid, "at_once": at_once})
            await change.record_rotation(
                signer.gateway_id, caller.organization or "", details, actor=caller.name, ip=caller.ip
            )
        return signer.kid

    async def update(
        self, key_id: str, document: object, caller: Caller, *, revisions: Revisions = None
    ) -> Changed:
        """Apply a merge patch; with `revisions` only to one of them. Raises DraftError."""
        now_ms = self._clock.now_ms()
        return await self._edit(
            key_id, "key.updated", caller, lambda key: apply_patch(_lasting(key), document, now_ms), revisions
        )

    async def hand_over(self, key_id: str, owner: str, caller: Caller) -> Changed:
        """Another owner, for a key of either kind."""
        return await self._edit(key_id, "key.updated", caller, lambda key: replace(key, owner=owner), None)

    async def rotate(
        self, key_id: str, document: object, caller: Caller, *, revisions: Revisions = None
    ) -> Changed:
        """A new secret for the same key; the old ones end now or after `grace_seconds`. Raises DraftError."""
        grace_seconds = read_grace_seconds(document, MAX_GRACE_SECONDS)
        secret = mint("gwk")
        async with self._writer.change() as change:
            key = _lasting(await _find(change, key_id, caller, revisions))
            now_ms = self._clock.now_ms()
            retired_at = now_ms + grace_seconds * 1000 if grace_seconds else None
            fading: tuple[tuple[int, int], ...] = ()
            if retired_at is not None:
                fading = (
                    (key.generation, retired_at),
                    *((g, min(end, retired_at)) for g, end in key.fading if now_ms < end),
                )
            key = replace(
                key,
                preview=preview(secret),
                revision=key.revision + 1,
                generation=key.generation + 1,
                fading=fading,
            )
            await change.save_key(key)
            await change.retire_secrets(key_id, retired_at)
            await change.end_tokens(key_id, retired_at or now_ms, revoked=retired_at is None)
            await change.add_secret(key_id, digest(self._pepper, secret), self._pepper_id)
            details = {"grace_seconds": grace_seconds, "preview": key.preview}
            sequence = await self._record(change, "key.rotated", key, caller, details)
        return Changed(key, sequence, secret)

    async def deactivate(self, key_id: str, caller: Caller, *, revisions: Revisions = None) -> Changed:
        """Pause the key: running requests finish, new ones are refused."""
        return await self._edit(
            key_id, "key.deactivated", caller, lambda key: replace(key, inactive=True), revisions
        )

    async def activate(self, key_id: str, caller: Caller, *, revisions: Revisions = None) -> Changed:
        """End a pause or a revocation. A conflict on an expired key, until its expiry is edited."""
        now_ms = self._clock.now_ms()

        def lift(key: Key) -> Key:
            if key.is_ephemeral and key.revoked_at is not None:
                raise ServiceError(
                    "conflict", f"{key_id} is an ephemeral token, which stays revoked; make a new one"
                )
            lifted = replace(key, inactive=False, revoked_at=None)
            if lifted.status(now_ms) is Status.EXPIRED:
                raise ServiceError("conflict", f"key {key_id} has expired; edit its expiry first")
            return lifted

        return await self._edit(key_id, "key.activated", caller, lift, revisions)

    async def revoke(self, key_id: str, caller: Caller, *, revisions: Revisions = None) -> Changed:
        """Answer a leak: running requests end too."""
        now_ms = self._clock.now_ms()

        def end(key: Key) -> Key:
            if key.revoked_at is not None:
                return key
            return replace(key, revoked_at=now_ms, generation=key.generation + 1, fading=())

        return await self._edit(key_id, "key.revoked", caller, end, revisions)

    async def delete(self, key_id: str, caller: Caller, *, revisions: Revisions = None) -> Changed:
        """End the key for good; its usage and its history stay."""
        async with self._writer.change() as change:
            key = await _find(change, key_id, caller, revisions)
            await change.end_tokens(key_id, self._clock.now_ms(), revoked=True)
            await change.delete_key(key_id)
            sequence = await self._record(change, "key.deleted", key, caller, {"name": key.name})
        return Changed(key, sequence)

    async def _edit(
        self, key_id: str, action: str, caller: Caller, edit: Callable[[Key], Key], revisions: Revisions
    ) -> Changed:
        async with self._writer.change() as change:
            before = await _find(change, key_id, caller, revisions)
            after = edit(before)
            if after.owner != before.owner:
                after = await self._resolve_owner(after)
            changes = changed_members(before, after)
            if after == before and not changes:
                return Changed(before)
            after = replace(after, revision=before.revision + 1)
            await change.save_key(after)
            if after.revoked_at is not None and before.revoked_at is None:
                await change.end_tokens(key_id, after.revoked_at, revoked=True)
            sequence = await self._record(change, action, after, caller, {"changes": changes})
        return Changed(after, sequence)

    async def _load_signer(self) -> Signer:
        if self._signing is None:
            raise _cannot_sign()
        try:
            return await asyncio.to_thread(self._signing.load)
        except SigningError as error:
            raise ServiceError("unavailable", str(error)) from None

    async def _issue(
        self,
        change: Change,
        action: str,
        key: Key,
        signer: Signer,
        caller: Caller,
        inherited: frozenset[str] = frozenset(),
    ) -> Changed:
        known = await change.find_signing_key(signer.kid)
        if known is None:
            now_ms = self._clock.now_ms()
            await change.add_signing_key(SigningKey(signer.kid, signer.gateway_id, signer.public_key, now_ms))
        elif known.believed_until is not None or known.gateway_id != signer.gateway_id:
            raise ServiceError("conflict", "the signing key was replaced meanwhile; try again")
        try:
            secret = write_token(key, signer, inherited)
        except TooLong as error:
            raise DraftError([FieldError(error.member, str(error))]) from None
        key = replace(key, preview=preview(secret))
        await change.save_key(key)
        details = {"kind": key.kind, "parent_id": key.parent_id, "set": scope_members(key)}
        return Changed(key, await self._record(change, action, key, caller, details), secret)

    async def _resolve_owner(self, key: Key) -> Key:
        if self._find_owner is None:
            return key
        owner_id = await self._find_owner(key.organization, key.owner)
        if owner_id is None:
            raise DraftError([FieldError("owner", f"{key.owner} is not a member of {key.organization}")])
        return replace(key, owner_id=owner_id)

    async def _record(
        self, change: Change, action: str, key: Key, caller: Caller, details: dict[str, Any]
    ) -> int:
        text = json.dumps({"revision": key.revision, **details}, ensure_ascii=False, separators=(",", ":"))
        return await change.record(action, key, text, actor=caller.name, ip=caller.ip)


async def _find(change: Change, key_id: str, caller: Caller, revisions: Revisions) -> Key:
    key = await change.find_key(key_id)
    if key is None or caller.organization not in (None, key.organization):
        raise ServiceError("not_found", f"there is no key {key_id}")
    if revisions is not None and key.revision not in revisions:
        asked = " or ".join(map(str, revisions))
        raise ServiceError(
            "precondition", f"key {key_id} is at revision {key.revision}, not {asked}; read it again"
        )
    return key


def token_object(made: Changed) -> dict[str, Any]:
    """What whoever makes a token is told, this once."""
    key = made.key
    return {
        "id": key.id,
        "token": made.secret,
        "expires_at": format_time(key.expires_at),
        "parent_id": key.parent_id,
    }


def _lasting(key: Key) -> Key:
    if key.is_ephemeral:
        raise ServiceError(
            "conflict", f"{key.id} is an ephemeral token, which cannot be changed; make a new one"
        )
    return key


def _cannot_sign() -> ServiceError:
    return ServiceError(
        "unavailable", "ephemeral tokens cannot be made here: there is no data folder with a signing key"
    )
