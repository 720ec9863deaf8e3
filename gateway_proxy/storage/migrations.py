"""Brings a store's schema up to date: forward only, one transaction a file, every file held to its checksum.

Several processes may start at once: each file is applied under an exclusive lock, after looking again.

Programs of this version and of the next one work on a store side by side: files add, and a store that a newer program has
migrated is used as it is. A file that older programs could not live with says so in its name, and then they refuse.
"""

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.database import Database, Statements, StoreError

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)(?:\.(sqlite|postgres))?\.sql")
_BREAKING = (
    "breaking_"  # a file's name begins with it: programs that do not know the file must not use the store
)
_CREATE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations"
    " (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def sql_folder() -> Path:
    """Where the files are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sql", package.parent / "sql"):
        if folder.is_dir():
            return folder
    raise StoreError(f"the schema files are missing beside {package}; install the package again")


def load_migrations(dialect: str, folder: Path | None = None) -> list[Migration]:
    """The files for this dialect in order. Raises StoreError for a gap or a duplicate."""
    found = []
    for path in sorted((folder or sql_folder()).glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise StoreError(f"{path}: a schema file is named 0001_name.sql")
        if match[3] in (None, dialect):
            found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise StoreError(
            f"the schema files in {folder or sql_folder()} are not numbered 1, 2, 3 … without gaps"
        )
    return found


async def schema_version(db: Database) -> int:
    """The last migration applied to the store, 0 for an empty one."""
    if "schema_migrations" not in await db.tables():
        return 0
    row = await db.fetch_one("SELECT COALESCE(MAX(version), 0) FROM schema_migrations")
    return int(row[0]) if row else 0


async def check_schema(db: Database, folder: Path | None = None) -> None:
    """Raise `StoreError` unless the store has the schema that this program knows, or a newer one that it can use."""
    migrations = load_migrations(db.dialect, folder)
    version = await schema_version(db)
    if version < len(migrations):
        raise StoreError(
            f"the store has schema {version} and this gateway-proxy needs {len(migrations)}; "
            "run `gateway-proxy migrate`"
        )
    _verify(await _applied(db), migrations)


async def migrate(db: Database, folder: Path | None = None, clock: Clock | None = None) -> list[str]:
    """Apply what is missing; returns the names of the files applied. May be interrupted and run again.

    Raises `StoreError`, having changed nothing, if the store is newer than the program can use, was made from an
    edited file, or belongs to another application.
    """
    migrations = load_migrations(db.dialect, folder)
    tables = await db.tables()
    if tables and "schema_migrations" not in tables:
        raise StoreError(
            "the database belongs to something else (it has tables, but none of gateway-proxy's); "
            "nothing was changed: name another one in [storage] url"
        )
    if tables:
        applied = await _applied(db)
        _verify(applied, migrations)
        if len(applied) >= len(migrations):
            return []
    done: list[str] = []
    for migration in migrations:
        async with db.transaction(exclusive=True) as tx:
            await tx.execute(_CREATE)
            applied = await _applied(tx)
            _verify(applied, migrations)
            if migration.version in applied:
                continue
            for statement in split_statements(migration.text):
                await tx.execute(_localize(statement, db.dialect))
            await tx.execute(
                "INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)",
                migration.version, migration.name, migration.sha256, (clock or Clock()).now_ms(),
            )  # fmt: skip
        done.append(f"{migration.version:04d}_{migration.name}")
    return done


def split_statements(text: str) -> list[str]:
    """The statements of a file; each ends with `;` at the end of a line."""
    statements = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in pending.splitlines()):
        raise StoreError(f"a schema file ends in the middle of a statement: {pending.strip()[:80]}")
    return statements


def _localize(statement: str, dialect: str) -> str:
    """On PostgreSQL texts sort by code point, as on SQLite, whatever the database's language."""
    if dialect == "postgres" and "CREATE TABLE" in statement:
        return re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', statement)
    return statement


async def _applied(statements: Statements) -> dict[int, tuple[str, str]]:
    rows = await statements.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
    return {version: (name, sha256) for version, name, sha256 in rows}


def _verify(applied: dict[int, tuple[str, str]], migrations: list[Migration]) -> None:
    for version in range(len(migrations) + 1, max(applied, default=0) + 1):
        name, _ = applied.get(version, (_BREAKING, ""))
        if name.startswith(_BREAKING):
            raise StoreError(
                f"the store was written by a newer gateway-proxy (schema {version}, this one knows {len(migrations)}) "
                "in a way that this one cannot use; nothing was changed: install that version again, or restore a "
                "backup from before the upgrade"
            )
    for migration in migrations:
        name, sha256 = applied.get(migration.version, ("", ""))
        if sha256 and sha256 != migration.sha256:
            raise StoreError(
                f"migration {migration.version:04d}_{name} was applied with another content than this program's; "
                "nothing was changed: use the release that the store was made with, or a newer one"
            )
