"""What tables a database has, as far as a copy of all rows needs to know: columns, primary keys, and an order.

Read from the database itself, so that a table which a later migration adds is known without a word here.
"""

import re
from dataclasses import dataclass

from gateway_proxy.storage.database import Statements
from gateway_proxy.storage.migrations import load_migrations

_CREATED = re.compile(r"^\s*CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
_COLUMNS = {
    "sqlite": "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid",
    "postgres": (
        "SELECT a.attname, format_type(a.atttypid, NULL), COALESCE(array_position(i.indkey::smallint[], a.attnum) + 1, 0)"
        " FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
        " WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    ),
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns, those that hold whole numbers, and those of the primary key in its order."""

    name: str
    columns: tuple[str, ...]
    numbers: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def upsert(self) -> str:
        """What follows the values of an insertion so that a row which is there already becomes the one given."""
        rest = [column for column in self.columns if column not in self.key]
        if not rest:
            return "ON CONFLICT DO NOTHING"
        changes = ", ".join(f"{column} = excluded.{column}" for column in rest)
        return f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {changes}"


async def list_tables(statements: Statements, dialect: str) -> list[Table]:
    """The tables of the schema in the order of their creation: none refers to a later one."""
    names: dict[str, None] = {}
    for migration in load_migrations(dialect):
        names.update(dict.fromkeys(_CREATED.findall(migration.text)))
    tables = [await _describe(statements, dialect, name) for name in names]
    return [table for table in tables if table.columns]


async def _describe(statements: Statements, dialect: str, name: str) -> Table:
    rows = await statements.fetch(_COLUMNS[dialect], name)
    keyed = sorted((position, column) for column, _, position in rows if position)
    return Table(
        name,
        tuple(column for column, _, _ in rows),
        tuple(column for column, kind, _ in rows if str(kind).lower() in ("bigint", "smallint")),
        tuple(column for _, column in keyed),
    )
