"""Opens a store by its URL and bundles what is in it."""

from pathlib import Path

from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import migrations
from gateway_proxy.storage.bodies import Bodies
from gateway_proxy.storage.copying import UNFINISHED
from gateway_proxy.storage.database import Database, StoreError, StoreUnreachable
from gateway_proxy.storage.deliveries import Deliveries
from gateway_proxy.storage.epochs import Epochs
from gateway_proxy.storage.identity import Identity
from gateway_proxy.storage.keys import SqlKeys
from gateway_proxy.storage.ledger import SqlLedger
from gateway_proxy.storage.made_ids import MadeIdRows
from gateway_proxy.storage.mcp_log import McpLog
from gateway_proxy.storage.mcp_tools import McpToolRows
from gateway_proxy.storage.outbox import Outbox
from gateway_proxy.storage.registry import Registry
from gateway_proxy.storage.replays import Replays
from gateway_proxy.storage.reports import Reports
from gateway_proxy.storage.sqlite import SqliteDatabase
from gateway_proxy.storage.timeline import Timeline
from gateway_proxy.storage.usage_sums import UsageSums


class Store:
    """One open store."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self.db = db
        self.keys = SqlKeys(db, clock)
        self.ledger = SqlLedger(db)
        self.reports = Reports(db)
        self.timeline = Timeline(db)
        self.usage_sums = UsageSums(db)
        self.outbox = Outbox(db)
        self.deliveries = Deliveries(db)
        self.registry = Registry(db, clock)
        self.made_ids = MadeIdRows(db)
        self.mcp_tools = McpToolRows(db, clock)
        self.mcp_log = McpLog(db)
        self.bodies = Bodies(db)
        self.replays = Replays(db)
        self.identity = Identity(db, clock)
        self.epochs = Epochs(db, clock)
        self.is_joined = False  # it was reached, and has our schema

    async def migrate(self) -> list[str]:
        """Bring the schema up to date; returns the names of the files applied."""
        return await migrations.migrate(self.db)

    async def join(self, *, migrate: bool) -> None:
        """See that it can be used; its schema is brought up to date first, or must be so already. Raises StoreError."""
        if migrate:
            await self.migrate()
        else:
            await migrations.check_schema(self.db)
        if await self.registry.get_meta(UNFINISHED) is not None:
            raise StoreError(
                "the store is an unfinished copy of another one; run `gateway-proxy store copy` again, to its end"
            )
        self.is_joined = True

    async def close(self) -> None:
        """Finish what was submitted and let go of the store. May be called twice."""
        await self.db.close()


async def open_store(
    url: str,
    *,
    create: bool = True,
    migrate: bool = False,
    patient: bool = False,
    clock: Clock | None = None,
) -> Store:
    """Open `sqlite:PATH` (a relative path counts from the working directory) or `postgresql://…`. Raises `StoreError`.

    `create=False` refuses a missing file; a database on a server must be there already. Without `migrate` the store must have this program's schema already.
    With `patient` a server that cannot be reached is no error: the store is to be joined later.
    """
    store = Store(await open_database(url, create=create, patient=patient), clock)
    try:
        await store.join(migrate=migrate)
    except BaseException as error:
        if not (patient and isinstance(error, StoreUnreachable)):
            await store.close()
            raise
    return store


async def open_database(url: str, *, create: bool = True, patient: bool = False) -> Database:
    """The database of a URL, whatever its schema. Raises `StoreError`; with `patient` not for a server that is away."""
    if url.startswith("postgresql://"):
        # The embedded store needs no driver of it.
        from gateway_proxy.storage.postgres import PostgresDatabase

        return await PostgresDatabase.open(url, patient=patient)
    return await SqliteDatabase.open(_sqlite_path(url), create=create)


def _sqlite_path(url: str) -> Path:
    scheme, colon, rest = url.partition(":")
    if not colon or scheme != "sqlite":
        # Only the scheme is named: the rest may hold a password.
        raise StoreError(
            f"[storage] url: {scheme if colon else 'no scheme'!r} is not supported; write sqlite:PATH or postgresql://…"
        )
    if rest.startswith("//"):
        rest = rest[2:]
    if not rest or rest == ":memory:":
        raise StoreError(
            "[storage] url: name a file, such as sqlite:gateway.db; a store outlives the process"
        )
    return Path(rest)
