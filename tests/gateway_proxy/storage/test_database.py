"""A statement outside of a transaction has one of its own, committed with it or not at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway_proxy.storage.database import AutoCommit, Statements, StoreError


class Remembering:
    def __init__(self, said: list[str]) -> None:
        self.said = said

    async def execute(self, sql: str, *args: Any) -> int:
        self.said.append(sql)
        if sql == "broken":
            raise StoreError("broken")
        return 1

    async def insert_many(
        self, table: str, columns: object, rows: Any, conflict: str = "", shared: object = ()
    ) -> int:
        return await self.execute(f"{table} {conflict}")


class Books(AutoCommit):
    def __init__(self) -> None:
        self.said: list[str] = []

    @asynccontextmanager
    async def transaction(self, *, exclusive: bool = False) -> AsyncIterator[Statements]:
        self.said.append("begin")
        try:
            yield Remembering(self.said)  # type: ignore[misc]
        except StoreError:
            self.said.append("roll back")
            raise
        self.said.append("commit")


async def test_each_statement_is_committed() -> None:
    books = Books()
    assert await books.execute("one") == 1
    assert await books.insert_many("two", ["a"], [[1]], "or not") == 1
    assert books.said == ["begin", "one", "commit", "begin", "two or not", "commit"]


async def test_one_that_fails_is_not() -> None:
    books = Books()
    with pytest.raises(StoreError):
        await books.execute("broken")
    assert books.said == ["begin", "broken", "roll back"]
