"""The project's own files and what stands in them, for the habit tests."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "gateway_proxy"


def python_files(*folders: str) -> list[Path]:
    """Every Python file below these folders of the checkout, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path as people write it, from the checkout's root."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def strings_of(tree: ast.AST) -> Iterator[str]:
    """Every string that is written out anywhere in this piece of code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def product_files() -> list[Path]:
    """The gateway's and the dashboard's sources without the fake provider, which is a tool beside them."""
    return [path for path in python_files("gateway_proxy", "dashboard") if "fake_provider" not in path.parts]
