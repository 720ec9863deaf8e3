"""What becomes an event besides budgets: acts on keys from the change log, and keys that are about to expire."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway_proxy.core.key import Key
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.storage.changes import ChangeRow, list_changes
from gateway_proxy.storage.database import Database, Statements
from gateway_proxy.storage.facts import get_fact, set_fact
from gateway_proxy.storage.key_rows import SELECTED, row_to_key
from gateway_proxy.storage.outbox import add_events
from gateway_proxy.storage.where import list_marks

_BATCH = 200
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """How a key is called, whether it still is or was deleted."""

    id: str
    name: str
    owner: str
    preview: str


MakeEvent = Callable[[ChangeRow, KeyFacts], EventRow]


async def announce_changes(db: Database, organization: str | None, make: MakeEvent) -> int:
    """Put an event into the outbox for each act on a key since the last call; returns how many acts were read.

    The first call on a store only remembers where the change log ends: its history is no news. Call again while it
    returns something.
    """
    name = f"announced_changes:{organization or '*'}"
    async with db.transaction() as tx:
        row = await tx.fetch_one("SELECT value FROM counters WHERE name = 'changes'")
        last = int(row[0]) if row else 0
        mark = await get_fact(tx, name)
        after = last if mark is None else min(int(mark), last)
        changes = await list_changes(tx, organization=organization, after=after, limit=_BATCH)
        acts = [change for change in changes if change.key_id and _is_news(change.action)]
        facts = await find_key_facts(tx, sorted({act.key_id for act in acts}))
        await add_events(
            tx, [make(act, facts.get(act.key_id) or KeyFacts(act.key_id, "", "", "")) for act in acts]
        )
        reached = changes[-1].seq if len(changes) == _BATCH else last
        if mark is None or int(mark) != reached:
            await set_fact(tx, name, str(reached))
    return len(changes)


def _is_news(action: str) -> bool:
    """Programs make tokens from keys by the thousand: whom that concerns reads the change log."""
    return action.startswith("key.") and action != "key.minted"


async def list_expiring(
    db: Database, organization: str | None, days: int, after_ms: int, before_ms: int, limit: int = 200
) -> Sequence[Key]:
    """Keys in force that expire after the one time and by the other, and whose `dedupe` is not in the outbox yet.

    Keys that were made for no longer than that, and those of ephemeral tokens, are left out.
    """
    where, args = ("", []) if organization is None else (" AND k.organization = $5", [organization])
    rows = await db.fetch(
        f"SELECT {SELECTED} FROM keys k WHERE k.expires_at > $1 AND k.expires_at <= $2"  # noqa: S608
        " AND k.kind <> 'ephemeral' AND k.revoked_at IS NULL AND k.created_at < k.expires_at - $3"
        " AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.dedupe ="
        f" 'key.expiring:' || k.id || ':' || k.expires_at || ':{int(days)}')"
        f"{where} ORDER BY k.expires_at, k.id LIMIT $4",
        after_ms, before_ms, days * DAY_MS, limit, *args,
    )  # fmt: skip
    return [row_to_key(row) for row in rows]


async def find_key_facts(tx: Statements, key_ids: Sequence[str]) -> dict[str, KeyFacts]:
    """By id, of those that are or were."""
    if not key_ids:
        return {}
    marks = list_marks(len(key_ids))
    found: dict[str, KeyFacts] = {}
    for table in ("deleted_keys", "keys"):
        rows = await tx.fetch(
            f"SELECT id, name, owner, preview FROM {table} WHERE id IN ({marks})",  # noqa: S608
            *key_ids,
        )
        found.update({row[0]: KeyFacts(*row) for row in rows})
    return found
