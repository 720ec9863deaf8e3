"""What PostgreSQL says, in words that help."""

import asyncpg
import pytest

from gateway_proxy.storage.database import NumberTooLarge, StoreConflict
from gateway_proxy.storage.postgres_errors import explain


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (asyncpg.InvalidPasswordError("x"), "refuses this user or password"),
        (asyncpg.InsufficientPrivilegeError("x"), "does not let this user"),
        (asyncpg.DiskFullError("x"), "disk is full"),
        (asyncpg.TooManyConnectionsError("x"), "no connection left"),
        (asyncpg.ReadOnlySQLTransactionError("x"), "read-only"),
        (asyncpg.AdminShutdownError("x"), "shut down"),
        (asyncpg.UndefinedTableError("relation"), r"failed: relation \(42P01\)"),
        (asyncpg.DuplicatePreparedStatementError("x"), "session mode"),
        (asyncpg.ProtocolViolationError("unsupported startup parameter: x"), "ignore this parameter"),
        (TimeoutError(), "does not answer"),
        (ConnectionRefusedError(111, "Connection refused"), "cannot be reached: Connection refused"),
        (FileNotFoundError(2, "No such file or directory", "/ca"), "reached: No such file or directory: /ca"),
        (asyncpg.ClientConfigurationError("`sslmode` is wrong"), "check .* url: `sslmode` is wrong"),
        (asyncpg.InterfaceError("pool is closed"), "failed: InterfaceError"),
    ],
)
def test_what_to_do(error: Exception, text: str) -> None:
    with pytest.raises(Exception, match=text):
        raise explain(error, "postgresql://db/g")


def test_kinds() -> None:
    assert isinstance(explain(asyncpg.UniqueViolationError("x"), "n"), StoreConflict)
    assert isinstance(explain(asyncpg.NumericValueOutOfRangeError("x"), "n"), NumberTooLarge)
    assert isinstance(explain(asyncpg.DataError("value out of int64 range"), "n"), NumberTooLarge)
