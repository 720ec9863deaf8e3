"""Who may sign in, as read: members with their credentials, sessions, admin tokens. Changes are in `identity_change`.

Knows secrets as digests only. Whether a session or token still holds is not decided here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.database import Database
from gateway_proxy.storage.identity_change import ACCOUNT, Account, IdentityChange, row_to_account

_SESSION = "s.digest, s.member_id, s.created_at, s.last_used_at, s.expires_at, s.ip, s.user_agent"
_TOKEN = (
    "t.id, t.pepper_id, t.preview, t.organization, t.name, t.role, t.member_id, t.created_at, t.expires_at,"
    " t.last_used_at"
)
SESSION_ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Session:
    """A member's session. Its id is the beginning of its digest: enough to tell it apart, and no way back."""

    digest: str = field(repr=False)
    member_id: str
    created_at: int
    last_used_at: int
    expires_at: int
    ip: str
    user_agent: str

    @property
    def id(self) -> str:
        return self.digest[:SESSION_ID_LENGTH]


@dataclass(frozen=True, slots=True)
class Token:
    """An admin token without its secret."""

    id: str
    pepper_id: str
    preview: str
    organization: str
    name: str
    role: str
    member_id: str | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class Identity:
    """Look-ups, each on its own; `change` opens the one transaction in which anything changes."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._db = db
        self._clock = clock or Clock()

    @asynccontextmanager
    async def change(self) -> AsyncIterator[IdentityChange]:
        """All or nothing."""
        async with self._db.transaction() as tx:
            yield IdentityChange(tx, self._clock)

    async def has_members(self) -> bool:
        """Whether anybody is a member of any organization."""
        return await self._db.fetch_one("SELECT 1 FROM members LIMIT 1") is not None

    async def find_account(self, member_id: str) -> Account | None:
        rows = await self._db.fetch(f"{ACCOUNT} WHERE m.id = $1", member_id)
        return row_to_account(rows[0]) if rows else None

    async def find_accounts(self, email: str) -> list[Account]:
        """The members with this e-mail address, one an organization at most, by organization."""
        rows = await self._db.fetch(f"{ACCOUNT} WHERE m.email = $1 ORDER BY m.organization", email)
        return [row_to_account(row) for row in rows]

    async def list_accounts(self, organization: str | None) -> list[Account]:
        """By e-mail address; of all organizations without one."""
        if organization is None:
            rows = await self._db.fetch(f"{ACCOUNT} ORDER BY m.email, m.organization")
        else:
            rows = await self._db.fetch(f"{ACCOUNT} WHERE m.organization = $1 ORDER BY m.email", organization)
        return [row_to_account(row) for row in rows]

    async def find_by_subject(self, issuer: str, subject: str) -> list[Account]:
        """The members whom an OpenID provider knows by this subject."""
        rows = await self._db.fetch(
            f"{ACCOUNT} JOIN oidc_identities o ON o.member_id = m.id"
            " WHERE o.issuer = $1 AND o.subject = $2 ORDER BY m.organization",
            issuer, subject,
        )  # fmt: skip
        return [row_to_account(row) for row in rows]

    async def find_session(self, digest: str) -> Session | None:
        rows = await self._db.fetch(f"SELECT {_SESSION} FROM sessions s WHERE s.digest = $1", digest)  # noqa: S608
        return Session(*rows[0]) if rows else None

    async def list_sessions(self, member_id: str) -> list[Session]:
        """Last used first."""
        rows = await self._db.fetch(
            f"SELECT {_SESSION} FROM sessions s WHERE s.member_id = $1 ORDER BY s.last_used_at DESC, s.digest",  # noqa: S608
            member_id,
        )
        return [Session(*row) for row in rows]

    async def touch_session(self, digest: str) -> None:
        """Note that it was used now."""
        await self._db.execute(
            "UPDATE sessions SET last_used_at = $2 WHERE digest = $1", digest, self._clock.now_ms()
        )

    async def find_link(self, digest: str, kind: str) -> tuple[str, str | None] | None:
        """Organization and member of a link that has not expired or been used."""
        row = await self._db.fetch_one(
            "SELECT organization, member_id FROM one_time_links WHERE digest = $1 AND kind = $2 AND expires_at > $3",
            digest, kind, self._clock.now_ms(),
        )  # fmt: skip
        return (str(row[0]), row[1]) if row else None

    async def find_token_by_digest(self, digest: str) -> Token | None:
        rows = await self._db.fetch(f"SELECT {_TOKEN} FROM admin_tokens t WHERE t.digest = $1", digest)  # noqa: S608
        return Token(*rows[0]) if rows else None

    async def find_token(self, token_id: str) -> Token | None:
        rows = await self._db.fetch(f"SELECT {_TOKEN} FROM admin_tokens t WHERE t.id = $1", token_id)  # noqa: S608
        return Token(*rows[0]) if rows else None

    async def list_tokens(self, organization: str | None) -> list[Token]:
        """Newest first; of all organizations without one."""
        order = "ORDER BY t.created_at DESC, t.id DESC"
        if organization is None:
            rows = await self._db.fetch(f"SELECT {_TOKEN} FROM admin_tokens t {order}")  # noqa: S608
        else:
            rows = await self._db.fetch(
                f"SELECT {_TOKEN} FROM admin_tokens t WHERE t.organization = $1 {order}",  # noqa: S608
                organization,
            )
        return [Token(*row) for row in rows]

    async def touch_token(self, token_id: str) -> None:
        """Note that it was used now."""
        await self._db.execute(
            "UPDATE admin_tokens SET last_used_at = $2 WHERE id = $1", token_id, self._clock.now_ms()
        )
