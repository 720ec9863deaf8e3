"""The life of a key: created, edited, rotated, paused, revoked, deleted; each step one transaction.

Every change to a key leaves a row in the change log, which is also how gateways learn of it. A secret
passes through here once, on its way to whoever asked; only its digest is handed on. Who may do what
is decided by the caller.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.key import Key, Status
from gateway_proxy.core.store import Change, KeyWriter
from gateway_proxy.keys.draft import DraftError, apply_creation, apply_patch, read_grace_seconds
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.secret import digest, mint, pepper_id, preview
from gateway_proxy.keys.view import changed_members

MAX_GRACE_SECONDS = 30 * 86_400

# Organization and owner → the member's id ("" for an owner without one), None if there is no such member.
FindOwner = Callable[[str, str], Awaitable[str | None]]
ServiceErrorCode = Literal["not_found", "conflict", "precondition"]


class ServiceError(Exception):
    """The change was refused and nothing happened; `code` is not_found, conflict or precondition."""

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
    """Changes keys in a store. Every method may raise ServiceError, and what the store raises."""

    def __init__(
        self, writer: KeyWriter, clock: Clock, pepper: bytes, find_owner: FindOwner | None = None
    ) -> None:
        self._find_owner = find_owner
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
        """A new key and its secret. `owner` stands in where the document names none. Raises DraftError.

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
        async with self._writer.change() as change:
            if key_id is not None and await change.find_key(key_id) is not None:
                raise ServiceError("conflict", f"key {key_id} exists already")
            await change.save_key(key)
            await change.add_secret(key.id, digest(self._pepper, secret), self._pepper_id)
            given = {member: after for member, (_, after) in changed_members(blank, key).items()}
            sequence = await self._record(change, "key.created", key, caller, {"set": given})
        return Changed(key, sequence, secret)

    async def update(
        self, key_id: str, document: object, caller: Caller, *, revision: int | None = None
    ) -> Changed:
        """Apply a merge patch; with `revision` only to that revision. Raises DraftError."""
        now_ms = self._clock.now_ms()
        return await self._edit(
            key_id, "key.updated", caller, lambda key: apply_patch(key, document, now_ms), revision
        )

    async def rotate(
        self, key_id: str, document: object, caller: Caller, *, revision: int | None = None
    ) -> Changed:
        """A new secret for the same key; the old ones end now or after `grace_seconds`. Raises DraftError."""
        grace_seconds = read_grace_seconds(document, MAX_GRACE_SECONDS)
        secret = mint("gwk")
        async with self._writer.change() as change:
            key = await _find(change, key_id, caller, revision)
            key = replace(key, preview=preview(secret), revision=key.revision + 1)
            retired_at = self._clock.now_ms() + grace_seconds * 1000 if grace_seconds else None
            await change.save_key(key)
            await change.retire_secrets(key_id, retired_at)
            await change.add_secret(key_id, digest(self._pepper, secret), self._pepper_id)
            details = {"grace_seconds": grace_seconds, "preview": key.preview}
            sequence = await self._record(change, "key.rotated", key, caller, details)
        return Changed(key, sequence, secret)

    async def deactivate(self, key_id: str, caller: Caller, *, revision: int | None = None) -> Changed:
        """Pause the key: running requests finish, new ones are refused."""
        return await self._edit(
            key_id, "key.deactivated", caller, lambda key: replace(key, inactive=True), revision
        )

    async def activate(self, key_id: str, caller: Caller, *, revision: int | None = None) -> Changed:
        """End a pause or a revocation. A conflict on an expired key, until its expiry is edited."""
        now_ms = self._clock.now_ms()

        def lift(key: Key) -> Key:
            lifted = replace(key, inactive=False, revoked_at=None)
            if lifted.status(now_ms) is Status.EXPIRED:
                raise ServiceError("conflict", f"key {key_id} has expired; edit its expiry first")
            return lifted

        return await self._edit(key_id, "key.activated", caller, lift, revision)

    async def revoke(self, key_id: str, caller: Caller, *, revision: int | None = None) -> Changed:
        """Answer a leak: running requests end too."""
        now_ms = self._clock.now_ms()

        def end(key: Key) -> Key:
            return key if key.revoked_at is not None else replace(key, revoked_at=now_ms)

        return await self._edit(key_id, "key.revoked", caller, end, revision)

    async def delete(self, key_id: str, caller: Caller, *, revision: int | None = None) -> Changed:
        """End the key for good; its usage and its history stay."""
        async with self._writer.change() as change:
            key = await _find(change, key_id, caller, revision)
            await change.delete_key(key_id)
            sequence = await self._record(change, "key.deleted", key, caller, {"name": key.name})
        return Changed(key, sequence)

    async def _edit(
        self, key_id: str, action: str, caller: Caller, edit: Callable[[Key], Key], revision: int | None
    ) -> Changed:
        async with self._writer.change() as change:
            before = await _find(change, key_id, caller, revision)
            after = edit(before)
            if after.owner != before.owner:
                after = await self._resolve_owner(after)
            changes = changed_members(before, after)
            if after == before and not changes:
                return Changed(before)
            after = replace(after, revision=before.revision + 1)
            await change.save_key(after)
            sequence = await self._record(change, action, after, caller, {"changes": changes})
        return Changed(after, sequence)

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


async def _find(change: Change, key_id: str, caller: Caller, revision: int | None) -> Key:
    key = await change.find_key(key_id)
    if key is None or caller.organization not in (None, key.organization):
        raise ServiceError("not_found", f"there is no key {key_id}")
    if revision is not None and revision != key.revision:
        raise ServiceError(
            "precondition", f"key {key_id} is at revision {key.revision}, not {revision}; read it again"
        )
    return key
