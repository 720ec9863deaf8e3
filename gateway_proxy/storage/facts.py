"""Facts that the store keeps about itself, by name."""

from gateway_proxy.storage.database import Statements


async def get_fact(statements: Statements, name: str) -> str | None:
    """None where it is not told. Raises StoreError."""
    row = await statements.fetch_one("SELECT value FROM meta WHERE name = $1", name)
    return str(row[0]) if row else None


async def set_fact(statements: Statements, name: str, value: str) -> None:
    """In the place of what was told before. Raises StoreError."""
    await statements.execute(
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        name, value,
    )  # fmt: skip
