"""Changes to who may sign in, inside one open transaction, with their rows in the change log.

What is allowed is the caller's to decide; what must not happen together (the last owner goes, a link is used
twice) is looked at here in the transaction that writes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.storage.changes import record_change
from gateway_proxy.storage.database import Row, Statements, StoreConflict
from gateway_proxy.storage.pepper_fact import require_pepper
from gateway_proxy.storage.registry import Organization

ACCOUNT = (
    "SELECT m.id, m.organization, m.email, m.name, m.role, m.created_at, c.password_hash, c.last_sign_in_at,"
    " c.member_id FROM members m LEFT JOIN member_credentials c ON c.member_id = m.id"
)


@dataclass(frozen=True, slots=True)
class Account:
    """A member with what they sign in by. `is_active`: they have come at least once, the invitation is used."""

    id: str
    organization: str
    email: str
    name: str
    role: str
    created_at: int
    password_hash: str | None = field(default=None, repr=False)
    last_sign_in_at: int | None = None
    is_active: bool = False


def row_to_account(row: Row) -> Account:
    id_, organization, email, name, role, created_at, password_hash, last_sign_in_at, credentials = row
    is_active = credentials is not None
    return Account(
        id_, organization, email, name, role, created_at, password_hash, last_sign_in_at, is_active
    )


class IdentityChange:
    """One transaction; made by `Identity.change`."""

    def __init__(self, tx: Statements, clock: Clock) -> None:
        self._tx = tx
        self._clock = clock

    async def find_account(self, member_id: str) -> Account | None:
        row = await self._tx.fetch_one(f"{ACCOUNT} WHERE m.id = $1", member_id)
        return row_to_account(row) if row else None

    async def has_members(self) -> bool:
        return await self._tx.fetch_one("SELECT 1 FROM members LIMIT 1") is not None

    async def count_owners(self, organization: str) -> int:
        row = await self._tx.fetch_one(
            "SELECT COUNT(*) FROM members WHERE organization = $1 AND role = 'owner'", organization
        )
        return int(row[0]) if row else 0

    async def add_organization(self, name: str) -> Organization:
        """Raises `StoreConflict` if the name is taken."""
        organization = Organization(new_id("org"), name, self._clock.now_ms())
        touched = await self._tx.execute(
            "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            organization.id, organization.name, organization.created_at,
        )  # fmt: skip
        if not touched:
            raise StoreConflict(f"there is an organization {name} already")
        return organization

    async def ensure_organization(self, name: str) -> None:
        """Make the organization of this name if there is none."""
        await self._tx.execute(
            "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            new_id("org"), name, self._clock.now_ms(),
        )  # fmt: skip

    async def has_organization(self, name: str) -> bool:
        return await self._tx.fetch_one("SELECT 1 FROM organizations WHERE name = $1", name) is not None

    async def add_member(self, organization: str, email: str, name: str, role: str) -> Account:
        """Raises `StoreConflict` if the organization has a member of this e-mail address."""
        account = Account(new_id("mem"), organization, email, name, role, self._clock.now_ms())
        touched = await self._tx.execute(
            "INSERT INTO members (id, organization, email, name, role, created_at) VALUES ($1, $2, $3, $4, $5, $6)"
            " ON CONFLICT (organization, email) DO NOTHING",
            account.id, organization, email, name, role, account.created_at,
        )  # fmt: skip
        if not touched:
            raise StoreConflict(f"{organization} has a member {email} already")
        return account

    async def save_member(self, member_id: str, name: str, role: str) -> None:
        await self._tx.execute("UPDATE members SET name = $2, role = $3 WHERE id = $1", member_id, name, role)

    async def delete_member(self, member_id: str) -> None:
        """With their credentials, sessions, links, tokens and identities."""
        await self._tx.execute("DELETE FROM members WHERE id = $1", member_id)

    async def set_password(self, member_id: str, password_hash: str) -> None:
        await self._tx.execute(
            "INSERT INTO member_credentials (member_id, password_hash, last_sign_in_at) VALUES ($1, $2, NULL)"
            " ON CONFLICT (member_id) DO UPDATE SET password_hash = excluded.password_hash",
            member_id, password_hash,
        )  # fmt: skip

    async def replace_hash(self, member_id: str, old: str, new: str) -> None:
        """The same password hashed anew, unless it was changed meanwhile."""
        await self._tx.execute(
            "UPDATE member_credentials SET password_hash = $3 WHERE member_id = $1 AND password_hash = $2",
            member_id, old, new,
        )  # fmt: skip

    async def add_session(
        self, digest: str, member_id: str, expires_at: int, ip: str, user_agent: str
    ) -> None:
        """Also notes the sign-in, and drops sessions that have expired."""
        now_ms = self._clock.now_ms()
        await self._tx.execute("DELETE FROM sessions WHERE expires_at <= $1", now_ms)
        await self._tx.execute(
            "INSERT INTO sessions (digest, member_id, created_at, last_used_at, expires_at, ip, user_agent)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            digest, member_id, now_ms, now_ms, expires_at, ip, user_agent,
        )  # fmt: skip
        await self._tx.execute(
            "INSERT INTO member_credentials (member_id, password_hash, last_sign_in_at) VALUES ($1, NULL, $2)"
            " ON CONFLICT (member_id) DO UPDATE SET last_sign_in_at = excluded.last_sign_in_at",
            member_id, now_ms,
        )  # fmt: skip

    async def delete_session(self, digest: str) -> bool:
        """Whether there was such a session."""
        return await self._tx.execute("DELETE FROM sessions WHERE digest = $1", digest) > 0

    async def delete_sessions(self, member_id: str, *, but: str = "") -> int:
        """All of the member's, except the one whose digest begins with `but`; returns how many there were."""
        rows = await self._tx.fetch("SELECT digest FROM sessions WHERE member_id = $1", member_id)
        ended = [digest for (digest,) in rows if not but or not digest.startswith(but)]
        for digest in ended:
            await self._tx.execute("DELETE FROM sessions WHERE digest = $1", digest)
        return len(ended)

    async def add_link(
        self,
        digest: str,
        kind: str,
        organization: str,
        member_id: str | None,
        expires_at: int,
        *,
        beside: bool = False,
    ) -> None:
        """In the place of the member's earlier links, or of earlier set-up links unless `beside` them."""
        await self._tx.execute("DELETE FROM one_time_links WHERE expires_at <= $1", self._clock.now_ms())
        if member_id is None and not beside:
            await self._tx.execute("DELETE FROM one_time_links WHERE kind = $1", kind)
        elif member_id is not None:
            await self._tx.execute("DELETE FROM one_time_links WHERE member_id = $1", member_id)
        await self._tx.execute(
            "INSERT INTO one_time_links (digest, kind, organization, member_id, expires_at)"
            " VALUES ($1, $2, $3, $4, $5)",
            digest, kind, organization, member_id, expires_at,
        )  # fmt: skip

    async def use_link(self, digest: str, kind: str) -> tuple[str, str | None] | None:
        """Use the link up: its organization and member, None if it has expired, was used, or never was."""
        row = await self._tx.fetch_one(
            "DELETE FROM one_time_links WHERE digest = $1 AND kind = $2 AND expires_at > $3"
            " RETURNING organization, member_id",
            digest, kind, self._clock.now_ms(),
        )  # fmt: skip
        return (str(row[0]), row[1]) if row else None

    async def add_token(
        self,
        token_id: str,
        digest: str,
        *,
        pepper_id: str,
        preview: str,
        organization: str,
        name: str,
        role: str,
        member_id: str | None,
        expires_at: int | None,
    ) -> None:
        await require_pepper(self._tx, pepper_id)
        await self._tx.execute(
            "INSERT INTO admin_tokens (id, digest, pepper_id, preview, organization, name, role, member_id,"
            " created_at, expires_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)",
            token_id, digest, pepper_id, preview, organization, name, role, member_id, self._clock.now_ms(),
            expires_at,
        )  # fmt: skip

    async def delete_token(self, token_id: str) -> bool:
        """Whether there was such a token."""
        return await self._tx.execute("DELETE FROM admin_tokens WHERE id = $1", token_id) > 0

    async def link_identity(self, issuer: str, subject: str, member_id: str) -> bool:
        """Whether the member is now known to the issuer by this subject; False if by another one."""
        await self._tx.execute(
            "INSERT INTO oidc_identities (issuer, member_id, subject, linked_at) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (issuer, member_id) DO NOTHING",
            issuer, member_id, subject, self._clock.now_ms(),
        )  # fmt: skip
        row = await self._tx.fetch_one(
            "SELECT subject FROM oidc_identities WHERE issuer = $1 AND member_id = $2", issuer, member_id
        )
        return row is not None and row[0] == subject

    async def record(
        self,
        action: str,
        *,
        organization: str,
        subject: str,
        actor: str,
        ip: str,
        details: Mapping[str, Any] | None = None,
    ) -> int:
        """A row of the change log; `details` hold no secret."""
        text = json.dumps(details or {}, ensure_ascii=False, separators=(",", ":"))
        return await record_change(
            self._tx, self._clock, action, organization=organization, subject=subject, actor=actor, ip=ip,
            details=text,
        )  # fmt: skip
