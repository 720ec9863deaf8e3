"""PostgreSQL's errors in words that say what to do. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

import asyncpg

from gateway_proxy.storage.database import NumberTooLarge, StoreConflict, StoreError, StoreUnreachable

_TEXTS = {
    "28": "refuses this user or password; check [storage] url and the server's pg_hba.conf",
    "3D": "does not exist; make it with `createdb`, or name another one in [storage] url",
    "42501": "does not let this user do that; grant it CREATE and all rights on the tables of its schema",
    "53100": "cannot grow: the server's disk is full; make room",
    "53300": "has no connection left; raise max_connections of the server or stop other clients",
    "53": "lacks resources; see the server's log",
    "57P": "is being shut down or starts up",
    "25P03": "ended a transaction that stood still for too long",
    "57014": "took too long for a statement and gave it up",
    "40P01": "ended one of two transactions that waited for each other; try again",
    "40001": "ended a transaction that met another one; try again",
    "42P05": "is behind a pooler that changes connections between statements; use its session mode",
    "26000": "is behind a pooler that changes connections between statements; use its session mode",
    "25006": "is read-only; name the primary server in [storage] url",
}
_PASSING = ("08", "53300", "57P")  # no connection, none left, starting up or shutting down


def explain(error: BaseException, name: str) -> StoreError:
    """The `StoreError` to raise in place of an error of the driver. `name` holds no password."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return StoreConflict(f"the store {name} refused it: {error.constraint_name or error.sqlstate}")
    if isinstance(error, asyncpg.NumericValueOutOfRangeError | OverflowError) or (
        isinstance(error, asyncpg.DataError | ValueError) and "out of int" in str(error)
    ):
        return NumberTooLarge("a number is too large for the store: at most 9223372036854775807 fits")
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        if code == "08P01" and "startup parameter" in str(error):
            return StoreError(f"the store {name} is behind a pooler: {error}; let it ignore this parameter")
        for length in (5, 3, 2):
            if text := _TEXTS.get(code[:length]):
                kind = StoreUnreachable if code.startswith(_PASSING) else StoreError
                return kind(f"the store {name} {text}")
        kind = StoreUnreachable if code.startswith(_PASSING) else StoreError
        return kind(f"the store {name} failed: {error} ({code})")
    if isinstance(error, TimeoutError):
        return StoreUnreachable(
            f"the store {name} does not answer; check that the server runs and can be reached"
        )
    if isinstance(error, OSError):
        file = f": {error.filename}" if isinstance(error.filename, str) else ""
        return StoreUnreachable(
            f"the store {name} cannot be reached: {error.strerror or type(error).__name__}{file}"
        )
    if isinstance(
        error, asyncpg.ClientConfigurationError
    ):  # of the URL's parameters; it repeats none but hosts
        return StoreError(f"the store {name} cannot be used; check [storage] url: {error.args[0]}")
    return StoreError(f"the store {name} failed: {type(error).__name__}")
