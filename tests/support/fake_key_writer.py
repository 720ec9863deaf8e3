"""A key store in memory that keeps the promises of the writer's protocol: all of a change, or nothing."""

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway_proxy.core.key import Key
from gateway_proxy.core.store import KeyRecord, StoredSecret


@dataclass
class FakeKeyWriter:
    keys: dict[str, Key] = field(default_factory=dict)
    secrets: dict[str, list[StoredSecret]] = field(default_factory=dict)
    changes: list[tuple[str, str, str, str]] = field(default_factory=list)
    fail_on_record: bool = False

    @asynccontextmanager
    async def change(self) -> AsyncIterator["FakeKeyWriter"]:
        kept = copy.deepcopy((self.keys, self.secrets, self.changes))
        try:
            yield self
        except BaseException:
            self.keys, self.secrets, self.changes = kept
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
        del self.secrets[key_id]

    async def record(self, action: str, key: Key, details: str, /, *, actor: str, ip: str = "") -> int:
        if self.fail_on_record:
            raise RuntimeError("the disk is full")
        self.changes.append((action, key.id, actor, details))
        return len(self.changes)

    def records(self) -> list[KeyRecord]:
        return [KeyRecord(key.id, key, tuple(self.secrets[key.id])) for key in self.keys.values()]
