"""Mistakes that asyncio lets pass and that cost somebody a night."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.habits.sources import name_of, parse, product_files

_MAKES_TASKS = {"create_task", "ensure_future"}


def bare_tasks(tree: ast.AST) -> Iterator[int]:
    """Lines that start a task which nobody holds; the garbage collector may take it while it runs."""
    for node in ast.walk(tree):
        if (isinstance(node, ast.Attribute) and node.attr in _MAKES_TASKS) or (
            isinstance(node, ast.ImportFrom) and any(alias.name in _MAKES_TASKS for alias in node.names)
        ):
            yield node.lineno


def torn_updates(tree: ast.AST) -> Iterator[int]:
    """Lines with `x += await …`: the old value is read before the wait and written back after it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign) and any(
            isinstance(part, ast.Await) for part in ast.walk(node.value)
        ):
            yield node.lineno


def found(search: object, *, but: tuple[str, ...] = ()) -> list[str]:
    assert callable(search)
    return [
        f"{name_of(path)}:{line}"
        for path in product_files()
        if name_of(path) not in but
        for line in search(parse(path))
    ]


def test_tasks_are_spawned_where_they_are_held() -> None:
    # The front's task for a request is held by its connection, which asks for it at its end.
    assert not found(bare_tasks, but=("gateway_proxy/core/tasks.py", "gateway_proxy/proxy/front.py"))


def test_no_update_is_torn_by_a_wait() -> None:
    assert not found(torn_updates)


@pytest.mark.parametrize(
    ("search", "code"),
    [
        (bare_tasks, "asyncio.create_task(work())"),
        (bare_tasks, "asyncio.get_running_loop().create_task(work())"),
        (bare_tasks, "from asyncio import ensure_future"),
        (torn_updates, "async def f():\n    total += await work()"),
        (torn_updates, "async def f():\n    self.total += 1 + len(await work())"),
    ],
)
def test_the_search_finds_what_it_looks_for(search: object, code: str) -> None:
    assert callable(search)
    assert list(search(ast.parse(code)))


def test_the_gateway_is_searched() -> None:
    assert Path("gateway_proxy/core/tasks.py") in {Path(name_of(path)) for path in product_files()}
