"""The change log: one row for every act of an admin, in the transaction that does it, numbered without gaps.

Gateways follow it to learn of changed keys, and write their audit logs from it. `details_json` holds no secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.storage.database import Statements
from gateway_proxy.storage.where import Where, list_marks

_COLUMNS = "seq, id, action, organization, key_id, subject, actor, ip, at, details_json"


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One line. `key_id` is set where a key was touched, `subject` (an id) where anything else was."""

    seq: int
    id: str
    action: str
    organization: str
    key_id: str
    subject: str
    actor: str
    ip: str
    at: int
    details_json: str


async def record_change(
    tx: Statements,
    clock: Clock,
    action: str,
    *,
    organization: str,
    actor: str,
    details: str,
    key_id: str = "",
    subject: str = "",
    ip: str = "",
) -> int:
    """Write the row; returns its sequence number."""
    row = await tx.fetch_one("UPDATE counters SET value = value + 1 WHERE name = 'changes' RETURNING value")
    assert row is not None  # the migration made the counter
    seq = int(row[0])
    await tx.execute(
        f"INSERT INTO changes ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",  # noqa: S608
        seq, new_id("aud"), action, organization, key_id, subject, actor, ip, clock.now_ms(), details,
    )  # fmt: skip
    await tx.announce()
    return seq


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """What of the change log is wanted. `action` may end with `*`; `subject` is the id of a key or of what else it was."""

    action: str = ""
    actor: str = ""
    subject: str = ""
    start_ms: int | None = None
    end_ms: int | None = None

    def apply(self, where: Where) -> None:
        if self.action.endswith("*"):
            prefix = self.action.rstrip("*")
            where.add(f"substr(action, 1, {len(prefix)}) = {where.bind(prefix)}")
        else:
            where.equal("action", self.action or None)
        where.equal("actor", self.actor or None)
        if self.subject:
            subject = where.bind(self.subject)
            where.add(f"(key_id = {subject} OR subject = {where.bind(self.subject)})")
        if self.start_ms is not None:
            where.add(f"at >= {where.bind(self.start_ms)}")
        if self.end_ms is not None:
            where.add(f"at < {where.bind(self.end_ms)}")


async def list_changes(
    statements: Statements,
    *,
    organization: str | None = None,
    key_id: str | None = None,
    before: int | None = None,
    after: int | None = None,
    wanted: ChangeFilter | None = None,
    limit: int = 50,
) -> list[ChangeRow]:
    """Newest first, with numbers below `before`; with `after` oldest first, with numbers above it."""
    where = Where()
    where.equal("organization", organization)
    where.equal("key_id", key_id)
    if before is not None:
        where.add(f"seq < {where.bind(before)}")
    if after is not None:
        where.add(f"seq > {where.bind(after)}")
    if wanted is not None:
        wanted.apply(where)
    order = "DESC" if after is None else "ASC"
    rows = await statements.fetch(
        f"SELECT {_COLUMNS} FROM changes{where} ORDER BY seq {order} LIMIT {where.bind(limit)}",  # noqa: S608
        *where.args,
    )
    return [ChangeRow(*row) for row in rows]


async def last_sequence(db: Statements) -> int:
    """The number of the newest row, 0 without any."""
    row = await db.fetch_one("SELECT value FROM counters WHERE name = 'changes'")
    return int(row[0]) if row else 0


_NAMED_IN = {"mem": ("members", "email"), "tok": ("admin_tokens", "name"), "gtw": ("gateways", "name")}


async def find_subject_names(db: Statements, subjects: Sequence[str]) -> dict[str, str]:
    """The addresses of these members and the names of these tokens and gateways, by id, as far as they are still there."""
    found: dict[str, str] = {}
    for prefix, (table, column) in _NAMED_IN.items():
        ids = [subject for subject in subjects if subject.startswith(f"{prefix}_")]
        if ids:
            marks = list_marks(len(ids))
            rows = await db.fetch(f"SELECT id, {column} FROM {table} WHERE id IN ({marks})", *ids)  # noqa: S608
            found.update((row[0], str(row[1])) for row in rows)
    return found
