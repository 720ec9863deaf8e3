"""What the data plane asks of storage. The implementations speak SQL; these protocols do not."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from gateway_proxy.core.key import Key
from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """One secret of a key at rest. `expires_at` is set for an old one in its grace after a rotation."""

    digest: bytes
    pepper_id: str
    expires_at: int | None = None  # Unix milliseconds


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key with its secrets; `key` is None when it was deleted (then `key_id` alone tells which)."""

    key_id: str
    key: Key | None
    secrets: tuple[StoredSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The public half of a gateway's Ed25519 pair. `believed_until` is set once the pair was replaced."""

    kid: str
    gateway_id: str
    public_key: bytes
    created_at: int  # Unix milliseconds
    believed_until: int | None = None


@dataclass(frozen=True, slots=True)
class CountersMark:
    """Where shared counters stood when budgets were last judged by them: by it they are known again, or not.

    The store waits for the leases of `part` before it lets newer counters be believed.
    """

    epoch: str
    run_id: str  # of the server's process
    number: int  # of its last reply, which only grows
    ahead_ms: int  # the server's clock before this machine's
    part: str


@dataclass(slots=True)
class Batch:
    """What the gateway writes behind, in one transaction. `cursor` is the spool position it covers."""

    ledger: list[LedgerRow] = field(default_factory=list)
    logs: list[LogRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    reserved: dict[str, int] = field(default_factory=dict)  # key id → nano-USD reserved now, for display
    cursor: tuple[int, int] | None = None  # (segment, offset): everything before is in the store


@dataclass(frozen=True, slots=True)
class Spending:
    """What a key was charged in a window (`end_ms` exclusive; edges are multiples of 15 minutes), but for the attempts
    in `without`: (request id, attempt)."""

    key_id: str
    start_ms: int
    end_ms: int
    without: list[tuple[str, int]]


class KeyReader(Protocol):
    """All that the data plane may see of the keys."""

    async def load_keys(self) -> tuple[int, Sequence[KeyRecord]]:
        """Every key that is not deleted, and the sequence number of the last change they include."""
        ...

    async def changed(self) -> bool:
        """Whether anybody changed a key since the last call; cheap enough for every 100 ms."""
        ...

    async def wait_for_news(self) -> None:
        """Return when it is time to ask `changed` again: at once after a change, in half a second at most."""
        ...

    def silence_seconds(self) -> float:
        """How old what `changed` told last may be."""
        ...

    async def changes_after(self, seq: int, /) -> tuple[int, Sequence[KeyRecord]]:
        """The keys touched by later changes, in their present state, and the new last sequence number."""
        ...


class LedgerStore(Protocol):
    """The books in the store."""

    async def append(self, gateway_id: str, batch: Batch, /) -> None:
        """One transaction: rows, roll-ups, spend, outbox and cursor. A row that is already there is not
        counted again, so a batch may be repeated after a crash."""
        ...

    async def cursor(self, gateway_id: str, /) -> tuple[int, int] | None:
        """The spool position up to which this gateway's records are in the store."""
        ...

    async def append_and_sum(
        self, gateway_id: str, batch: Batch, windows: Sequence[tuple[str, int, int]], /
    ) -> list[int]:
        """`append`, then in the same transaction the charged nano-USD per window (key id, start ms inclusive,
        end ms exclusive; boundaries are multiples of 15 minutes), by the time of admission."""
        ...


class Change(Protocol):
    """One transaction of a change to keys; leaves nothing behind if its block raises."""

    async def find_key(self, key_id: str, /) -> Key | None: ...

    async def save_key(self, key: Key, /) -> None:
        """Insert or replace the record; the caller has raised `revision`."""
        ...

    async def add_secret(self, key_id: str, digest: bytes, pepper_id: str, /) -> None: ...

    async def retire_secrets(self, key_id: str, expires_at: int | None, /) -> None:
        """End the present secrets: at once (None), or at a time in Unix milliseconds. Never prolongs one."""
        ...

    async def end_tokens(self, parent_id: str, at: int, /, *, revoked: bool) -> None:
        """Have the ephemeral tokens of a key shown as what they are: revoked at once, or expiring at `at` (Unix
        milliseconds) unless they do so sooner."""
        ...

    async def has_tokens(self, parent_id: str, at: int, count: int, /) -> bool:
        """Whether a key has so many ephemeral tokens that live beyond `at` (Unix milliseconds)."""
        ...

    async def find_signing_key(self, kid: str, /) -> SigningKey | None: ...

    async def add_signing_key(self, signing_key: SigningKey, /) -> None: ...

    async def retire_signing_keys(self, gateway_id: str, believed_until: int, /) -> None:
        """Replace the pairs of a gateway: what they signed is believed until then (Unix milliseconds), no longer."""
        ...

    async def delete_key(self, key_id: str, /) -> None:
        """Final; usage and the change log stay."""
        ...

    async def record(self, action: str, key: Key, details: str, /, *, actor: str, ip: str = "") -> int:
        """The change-log row (details is JSON without secrets); returns its gapless sequence number."""
        ...

    async def record_rotation(
        self, gateway_id: str, organization: str, details: str, /, *, actor: str, ip: str = ""
    ) -> int:
        """The same for a new signing pair of a gateway."""
        ...


class KeyWriter(Protocol):
    def change(self) -> AbstractAsyncContextManager[Change]: ...
