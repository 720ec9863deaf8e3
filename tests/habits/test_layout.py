"""Every source file has its test file, and none is too long to be read at once."""

import ast
from pathlib import Path

from tests.habits.sources import PACKAGE, ROOT, functions_of, name_of, parse, python_files

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

TESTED_ELSEWHERE: dict[str, tuple[str, str]] = {
    # source file: (the test file that holds it to its promise, why it has none of its own)
    "gateway_proxy/cli/demo.py": (
        "tests/flows/test_demo.py",
        "it is a whole product in one command, and tried as one",
    ),
    "gateway_proxy/storage/keys.py": (
        "tests/contracts/test_key_store.py",
        "its whole promise is core's protocol",
    ),
    "gateway_proxy/storage/ledger.py": (
        "tests/contracts/test_ledger_store.py",
        "its whole promise is core's protocol",
    ),
}


def mirrored_test(source: Path) -> Path:
    relative = source.relative_to(ROOT)
    return ROOT / "tests" / relative.parent / f"test_{source.stem}.py"


def has_logic(source: Path) -> bool:
    """Whether any function does something: declarations and protocols need no test of their own."""
    for function in functions_of(parse(source)):
        for statement in function.body:
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not is_text and not isinstance(statement, ast.Pass):
                return True
    return False


def sources_to_test() -> list[Path]:
    return [
        path
        for path in python_files("gateway_proxy", "dashboard")
        if path.name not in ("__init__.py", "__main__.py") and has_logic(path)
    ]


def test_every_source_file_has_its_test_file() -> None:
    assert sources_to_test()
    missing = [
        f"{name_of(path)} needs {name_of(mirrored_test(path))}"
        for path in sources_to_test()
        if not mirrored_test(path).exists() and name_of(path) not in TESTED_ELSEWHERE
    ]
    assert not missing, "\n".join(missing)


def test_exceptions_are_needed_and_true() -> None:
    wrong = []
    sources = {name_of(path): path for path in sources_to_test()}
    for name, (elsewhere, reason) in TESTED_ELSEWHERE.items():
        if name not in sources:
            wrong.append(f"{name} needs no exception: there is nothing to test")
        elif mirrored_test(sources[name]).exists():
            wrong.append(f"{name} needs no exception: it has its test file")
        elif not (ROOT / elsewhere).exists():
            wrong.append(f"{name}: {elsewhere} does not exist")
        elif len(reason) < 10:
            wrong.append(f"{name}: the reason is missing")
    assert not wrong, "\n".join(wrong)


def test_every_mirrored_test_file_has_its_source() -> None:
    orphans = []
    for path in python_files("tests/gateway_proxy", "tests/dashboard"):
        if path.name.startswith("test_"):
            relative = path.relative_to(ROOT / "tests")
            source = ROOT / relative.parent / f"{path.stem.removeprefix('test_')}.py"
            if not source.exists():
                orphans.append(f"{name_of(path)}: there is no {name_of(source)}")
    assert not orphans, "\n".join(orphans)


def test_no_file_is_too_long() -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files("gateway_proxy", "dashboard", "tests", "bench")
    }
    assert PACKAGE / "__init__.py" in lengths
    too_long = [
        f"{name_of(path)}: {lines} lines" for path, lines in lengths.items() if lines > MAX_FILE_LINES
    ]
    assert not too_long, "\n".join(too_long)


def test_no_function_is_too_long() -> None:
    too_long = []
    for path in python_files("gateway_proxy", "dashboard", "tests", "bench"):
        for function in functions_of(parse(path)):
            lines = (function.end_lineno or 0) - function.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                too_long.append(f"{name_of(path)}:{function.lineno} {function.name}: {lines} lines")
    assert not too_long, "\n".join(too_long)


def test_every_module_says_what_it_promises() -> None:
    silent = [
        name_of(path)
        for path in python_files("gateway_proxy", "dashboard")
        if not ast.get_docstring(parse(path))
    ]
    assert not silent, "\n".join(silent)
