"""A key store in memory that keeps the promises of the writer's protocol: all of a change, or nothing."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway_proxy.core.key import Key
from gateway_proxy.core.store import KeyRecord, SigningKey, StoredSecret


@dataclass
class FakeKeyWriter:
    keys: dict[str, Key] = field(default_factory=dict)
    secrets: dict[str, list[StoredSecret]] = field(default_factory=dict)
    changes: list[tuple[str, str, str, str]] = field(default_factory=list)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    fail_on_record: bool = False

    @asynccontextmanager
    async def change(self) -> AsyncIterator["FakeKeyWriter"]:
        kept = copy.deepcopy((self.keys, self.secrets, self.changes, self.signing_keys))
        try:
            yield self
        except BaseException:
            self.keys, self.secrets, self.changes, self.signing_keys = kept
            raise

    async def find_key(self, key_id: str, /) -> Key | None:
        return self.keys.get(key_id)

    async def save_key(self, key: Key, /) -> None:
        self.keys[key.id] = key

    async def add_secret(self, key_id: str, digest: bytes, pepper_id: str, /) -> None:
        self.secrets.setdefault(key_id, []).append(StoredSecret(digest, pepper_id))

    async def retire_secrets(self, key_id: str, expires_at: int | None, /) -> None:
        kept = self.secrets.get(key_id, [])
        self.secrets[key_id] = (
            []
            if expires_at is None
            else [replace(s, expires_at=min(expires_at, s.expires_at or expires_at)) for s in kept]
        )

    async def delete_key(self, key_id: str, /) -> None:
        del self.keys[key_id]
        self.secrets.pop(key_id, None)

    async def end_tokens(self, parent_id: str, at: int, /, *, revoked: bool) -> None:
        for key in list(self.keys.values()):
            if key.parent_id == parent_id and key.expires_at is not None and key.expires_at > at:
                ended = (
                    replace(key, revoked_at=key.revoked_at or at) if revoked else replace(key, expires_at=at)
                )
                self.keys[key.id] = replace(ended, revision=key.revision + 1)

    async def has_tokens(self, parent_id: str, at: int, count: int, /) -> bool:
        live = [
            key
            for key in self.keys.values()
            if key.parent_id == parent_id and (key.expires_at or 0) > at and key.revoked_at is None
        ]
        return len(live) >= count

    async def find_signing_key(self, kid: str, /) -> SigningKey | None:
        return self.signing_keys.get(kid)

    async def add_signing_key(self, signing_key: SigningKey, /) -> None:
        self.signing_keys[signing_key.kid] = signing_key

    async def retire_signing_keys(self, gateway_id: str, believed_until: int, /) -> None:
        for kid, row in self.signing_keys.items():
            if row.gateway_id == gateway_id and (row.believed_until or believed_until) >= believed_until:
                self.signing_keys[kid] = replace(row, believed_until=believed_until)

    async def record_rotation(
        self, gateway_id: str, organization: str, details: str, /, *, actor: str, ip: str = ""
    ) -> int:
        self.changes.append(("gateway.signing_key_rotated", gateway_id, actor, details))
        return len(self.changes)

    async def record(self, action: str, key: Key, details: str, /, *, actor: str, ip: str = "") -> int:
        if self.fail_on_record:
            raise RuntimeError("the disk is full")
        self.changes.append((action, key.id, actor, details))
        return len(self.changes)

    def records(self) -> list[KeyRecord]:
        return [KeyRecord(key.id, key, tuple(self.secrets.get(key.id, ()))) for key in self.keys.values()]
