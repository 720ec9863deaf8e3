"""Who belongs to the store: facts about itself, organizations, members, and the gateways attached to it."""

import json
from dataclasses import dataclass, replace
from typing import Literal

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.storage import pepper_fact
from gateway_proxy.storage.changes import record_change
from gateway_proxy.storage.database import Database, Row, StoreConflict
from gateway_proxy.storage.facts import get_fact, set_fact
from gateway_proxy.storage.pepper_fact import StoreInUse

# A gateway reports itself every 5 seconds; one that was not heard of for this long has missed it three times and counts as gone.
LIVE_MS = 15_000
_MEMBER = "id, organization, email, name, role, created_at"
GatewayAct = Literal["gateway.revoked", "gateway.allowed", "gateway.forgotten"]
_GATEWAY = "id, name, organization, version, started_at, last_seen_at, applied_seq, config_digest, audit_head, revoked_at, providers_json"


@dataclass(frozen=True, slots=True)
class Organization:
    id: str
    name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Member:
    """A dashboard user. `organization` is the organization's name, as in `Key`."""

    id: str
    organization: str
    email: str
    name: str
    role: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """One data plane as it last reported itself."""

    id: str
    name: str
    organization: str
    version: str
    started_at: int
    last_seen_at: int
    applied_seq: int
    config_digest: str
    audit_head: str = ""
    revoked_at: int | None = None
    providers: tuple[tuple[str, str], ...] = ()  # name and health of each


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of a gateway's audit log as it was last reported: `head` is seq:mac."""

    gateway_id: str
    organization: str
    name: str
    head: str
    at: int


class Registry:
    """All of it; times from the clock given."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._db = db
        self._clock = clock or Clock()

    async def get_meta(self, name: str) -> str | None:
        """A fact about the store."""
        return await get_fact(self._db, name)

    async def set_meta(self, name: str, value: str) -> None:
        await set_fact(self._db, name, value)

    async def has_live_gateway(self) -> bool:
        return await pepper_fact.has_gateway(self._db, self._clock.now_ms() - LIVE_MS)

    async def replace_pepper(self, fingerprint: str) -> bool:
        """Whether it is the store's now: while the store holds a secret or has a live gateway it is not replaced."""
        try:
            async with self._db.transaction() as tx:
                await pepper_fact.replace_pepper(tx, fingerprint, self._clock.now_ms() - LIVE_MS)
        except StoreInUse:
            return await self.get_meta(pepper_fact.NAME) == fingerprint  # somebody with the same was quicker
        return True

    async def require_pepper(self, fingerprint: str) -> None:
        """Raises StoreError if the store's is another one."""
        async with self._db.transaction() as tx:
            await pepper_fact.require_pepper(tx, fingerprint)

    async def is_demo(self) -> bool:
        """Whether `demo` made this store."""
        return await self.get_meta("demo") == "1"

    async def mark_demo(self) -> None:
        await self.set_meta("demo", "1")

    async def ensure_organization(self, name: str = "default") -> Organization:
        """The organization of this name, made if there is none."""
        await self._db.execute(
            "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
            new_id("org"), name, self._clock.now_ms(),
        )  # fmt: skip
        row = await self._db.fetch_one("SELECT id, name, created_at FROM organizations WHERE name = $1", name)
        assert row is not None
        return Organization(*row)

    async def add_organization(self, name: str) -> Organization:
        """Raises `StoreConflict` if the name is taken."""
        organization = Organization(new_id("org"), name, self._clock.now_ms())
        try:
            await self._db.execute(
                "INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)",
                organization.id, organization.name, organization.created_at,
            )  # fmt: skip
        except StoreConflict:
            raise StoreConflict(f"there is an organization {name} already") from None
        return organization

    async def list_organizations(self) -> list[Organization]:
        rows = await self._db.fetch("SELECT id, name, created_at FROM organizations ORDER BY name")
        return [Organization(*row) for row in rows]

    async def add_member(self, organization: str, email: str, name: str = "", role: str = "member") -> Member:
        """Raises `StoreConflict` if the organization has a member of this e-mail address."""
        member = Member(new_id("mem"), organization, email, name, role, self._clock.now_ms())
        try:
            await self._db.execute(
                f"INSERT INTO members ({_MEMBER}) VALUES ($1, $2, $3, $4, $5, $6)",  # noqa: S608
                member.id, organization, email, name, role, member.created_at,
            )  # fmt: skip
        except StoreConflict:
            raise StoreConflict(f"{organization} has a member {email} already") from None
        return member

    async def find_member(self, organization: str, email: str) -> Member | None:
        rows = await self._members("WHERE organization = $1 AND email = $2", organization, email)
        return rows[0] if rows else None

    async def get_member(self, member_id: str) -> Member | None:
        rows = await self._members("WHERE id = $1", member_id)
        return rows[0] if rows else None

    async def list_members(self, organization: str | None = None) -> list[Member]:
        """By e-mail address; of all organizations without one."""
        if organization is None:
            return await self._members("ORDER BY email, organization")
        return await self._members("WHERE organization = $1 ORDER BY email", organization)

    async def set_role(self, member_id: str, role: str) -> bool:
        """Whether there was such a member."""
        return await self._db.execute("UPDATE members SET role = $2 WHERE id = $1", member_id, role) > 0

    async def remove_member(self, member_id: str) -> bool:
        """Whether there was such a member; what becomes of the keys is the caller's to decide."""
        return await self._db.execute("DELETE FROM members WHERE id = $1", member_id) > 0

    async def heartbeat(self, gateway: Gateway) -> Gateway:
        """Store what the gateway reports of itself; returns its record, with `revoked_at` as the store has it."""
        rows = await self._write_heartbeat(gateway)
        return _gateway(rows[0])

    async def list_gateways(self, organization: str | None = None) -> list[Gateway]:
        where, args = (
            ("", []) if organization is None else (" WHERE organization IN ($1, '*')", [organization])
        )
        rows = await self._db.fetch(f"SELECT {_GATEWAY} FROM gateways{where} ORDER BY name, id", *args)  # noqa: S608
        return [_gateway(row) for row in rows]

    async def change_gateway(
        self, gateway_id: str, act: GatewayAct, *, organization: str, actor: str, ip: str = ""
    ) -> bool:
        """Have it refuse all traffic, undo that, or drop its record, and write that down for the organization.

        Whether there was such a gateway. What is so already is not written down again.
        """
        async with self._db.transaction() as tx:
            row = await tx.fetch_one("SELECT name, revoked_at FROM gateways WHERE id = $1", gateway_id)
            if row is None:
                return False
            if act == "gateway.forgotten":
                await tx.execute("DELETE FROM gateways WHERE id = $1", gateway_id)
            elif (act == "gateway.revoked") == (row[1] is not None):
                return True
            else:
                revoked_at = self._clock.now_ms() if act == "gateway.revoked" else None
                await tx.execute("UPDATE gateways SET revoked_at = $2 WHERE id = $1", gateway_id, revoked_at)
            await record_change(
                tx, self._clock, act, organization=organization, actor=actor, subject=gateway_id, ip=ip,
                details=json.dumps({"name": row[0]}, ensure_ascii=False, separators=(",", ":")),
            )  # fmt: skip
        return True

    async def forget_gateway(self, gateway_id: str) -> bool:
        """Drop its record, as a gateway does when it stops; it comes back with its next heartbeat."""
        return await self._db.execute("DELETE FROM gateways WHERE id = $1", gateway_id) > 0

    async def list_audit_heads(self, organization: str | None = None) -> list[AuditHead]:
        """What the gateways, present and past, last reported of their audit logs."""
        where, args = (
            ("", []) if organization is None else (" WHERE organization IN ($1, '*')", [organization])
        )
        rows = await self._db.fetch(
            f"SELECT gateway_id, organization, name, head, at FROM audit_heads{where} ORDER BY name, gateway_id",  # noqa: S608
            *args,
        )
        return [AuditHead(*row) for row in rows]

    async def find_audit_head(self, gateway_id: str) -> str:
        """The last head (seq:mac) that this gateway reported; "" for none."""
        row = await self._db.fetch_one("SELECT head FROM audit_heads WHERE gateway_id = $1", gateway_id)
        return str(row[0]) if row else ""

    async def _write_heartbeat(self, gateway: Gateway) -> list[Row]:
        async with self._db.transaction() as tx:
            if gateway.audit_head:
                await tx.execute(
                    "INSERT INTO audit_heads (gateway_id, organization, name, head, at) VALUES ($1, $2, $3, $4, $5)"
                    " ON CONFLICT (gateway_id) DO UPDATE SET organization = excluded.organization,"
                    " name = excluded.name, head = excluded.head, at = excluded.at",
                    gateway.id, gateway.organization, gateway.name, gateway.audit_head, gateway.last_seen_at,
                )  # fmt: skip
            return await tx.fetch(
                f"INSERT INTO gateways ({_GATEWAY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10)"  # noqa: S608
                " ON CONFLICT (id) DO UPDATE SET name = excluded.name, organization = excluded.organization,"
                " version = excluded.version, started_at = excluded.started_at,"
                " last_seen_at = excluded.last_seen_at, applied_seq = excluded.applied_seq,"
                " config_digest = excluded.config_digest, audit_head = excluded.audit_head,"
                f" providers_json = excluded.providers_json RETURNING {_GATEWAY}",
                gateway.id, gateway.name, gateway.organization, gateway.version, gateway.started_at,
                gateway.last_seen_at, gateway.applied_seq, gateway.config_digest, gateway.audit_head,
                json.dumps(gateway.providers, separators=(",", ":")),
            )  # fmt: skip

    async def _members(self, rest: str, *args: str) -> list[Member]:
        rows = await self._db.fetch(f"SELECT {_MEMBER} FROM members {rest}", *args)  # noqa: S608
        return [Member(*row) for row in rows]


def _gateway(row: Row) -> Gateway:
    providers = tuple((name, health) for name, health in json.loads(row[-1]))
    return replace(Gateway(*row[:-1]), providers=providers)
