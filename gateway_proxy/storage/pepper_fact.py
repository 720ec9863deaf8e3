"""The fingerprint of the pepper that the store's secrets are made with: who may replace it, and who must still have it.

Both sides lock the fact first and look at the other's rows then, so that of two that meet one sees the other.
"""

from gateway_proxy.storage.database import Statements, StoreError
from gateway_proxy.storage.facts import get_fact, set_fact

NAME = "pepper_id"


class StoreInUse(StoreError):
    """A secret or a live gateway depends on the pepper that the store has."""


async def has_secrets(statements: Statements) -> bool:
    """Whether any secret is at rest."""
    for table in ("key_secrets", "admin_tokens"):
        if await statements.fetch_one(f"SELECT 1 FROM {table} LIMIT 1") is not None:  # noqa: S608
            return True
    return False


async def has_gateway(statements: Statements, live_since: int) -> bool:
    """Whether a gateway reported itself since then."""
    found = await statements.fetch_one("SELECT 1 FROM gateways WHERE last_seen_at > $1 LIMIT 1", live_since)
    return found is not None


async def replace_pepper(tx: Statements, fingerprint: str, live_since: int) -> None:
    """Raises StoreInUse, which undoes it, while there is a secret or a live gateway."""
    await set_fact(tx, NAME, fingerprint)
    if await has_secrets(tx) or await has_gateway(tx, live_since):
        raise StoreInUse("the store is in use with another pepper")


async def require_pepper(tx: Statements, fingerprint: str) -> None:
    """It stays the store's until the transaction ends. Raises StoreError if another one is."""
    same = await tx.execute("UPDATE meta SET value = value WHERE name = $1 AND value = $2", NAME, fingerprint)
    if not same and await get_fact(tx, NAME) is not None:
        raise StoreError(
            "the store has been given another pepper since this process began; start it again with that one"
        )
