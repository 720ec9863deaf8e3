"""What a user can meet by name stands in docs/reference.md: error codes, stages, events."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.habits.sources import PACKAGE, ROOT, functions_of, name_of, parse, product_files, strings_of

_WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_EVENT = re.compile(r"(?:budget|key)\.[a-z_]+")
_NOT_FOR_CLIENTS = {"client_gone"}  # the answer to a client that has left: a code for the log row


def reference() -> set[str]:
    """Every name in `backticks`."""
    return set(re.findall(r"`([^`\n]+)`", (ROOT / "docs/reference.md").read_text(encoding="utf-8")))


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Error codes: `code="…"` in a call, as a default, or as an attribute of a class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from (text for text in strings_of(node.value) if _WORD.fullmatch(text))
        elif isinstance(node, ast.ClassDef):
            for line in node.body:
                if isinstance(line, ast.Assign) and [ast.unparse(name) for name in line.targets] == ["code"]:
                    yield from strings_of(line.value)
    for function in functions_of(tree):
        arguments = function.args
        defaults = dict(zip((a.arg for a in arguments.args[::-1]), arguments.defaults[::-1], strict=False))
        defaults |= dict(zip((a.arg for a in arguments.kwonlyargs), arguments.kw_defaults, strict=True))
        if (default := defaults.get("code")) is not None:
            yield from strings_of(default)


def codes_by_status() -> set[str]:
    """The codes of a key that is not active, which its stage holds in a table."""
    tree = parse(PACKAGE / "stages/authenticate.py")
    return {text for text in strings_of(tree) if re.fullmatch(r"key_[a-z]+", text)}


def raised_codes() -> dict[str, str]:
    """Every error code, and a file that raises it."""
    raised = {code: name_of(path) for path in product_files() for code in codes_in(parse(path))}
    return raised | dict.fromkeys(codes_by_status(), "stages/authenticate.py")


def test_every_error_code_is_documented() -> None:
    raised = raised_codes()
    assert {"key_expired", "insufficient_quota", "upstream_timeout", "missing_api_key"} <= set(raised)
    known = reference() | _NOT_FOR_CLIENTS
    missing = [f"{code} ({where})" for code, where in sorted(raised.items()) if code not in known]
    assert not missing, "\n".join(missing)


def test_every_documented_error_code_exists() -> None:
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    section = text.partition("## Errors")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE))
    assert len(documented) > 20
    assert not documented - set(raised_codes())


def test_every_stage_is_documented() -> None:
    names = set()
    for path in (PACKAGE / "stages").glob("*.py"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "name" and node.value:
                names |= set(strings_of(node.value))
    assert {"authenticate", "admission"} <= names
    assert not names - reference()


def test_every_event_is_documented() -> None:
    events = {text for path in product_files() for text in strings_of(parse(path)) if _EVENT.fullmatch(text)}
    assert {"budget.threshold", "budget.exceeded"} <= events
    assert not events - reference()


@pytest.mark.parametrize(
    "code",
    [
        "raise Denied('no', code='some_code')",
        "raise Denied('no', code='some_code' if late else 'other_code')",
        "class Denied(Exception):\n    code = 'some_code'",
        "def refuse(text, code='some_code'): ...",
        "def refuse(text, *, code='some_code'): ...",
    ],
)
def test_codes_are_found_in_every_form(code: str) -> None:
    assert "some_code" in set(codes_in(ast.parse(code)))
