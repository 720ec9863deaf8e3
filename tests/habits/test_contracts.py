"""Each protocol of core that has a backend has one suite in tests/contracts, run against every backend."""

import ast

from tests.habits.sources import PACKAGE, ROOT, parse, python_files

SUITES = {
    "Limiter": "tests/contracts/test_limiter.py",
    "WaitingLimiter": "tests/contracts/test_limiter.py",
    "Counters": "tests/contracts/test_limiter.py",
    "KeyReader": "tests/contracts/test_key_store.py",
    "KeyWriter": "tests/contracts/test_key_store.py",
    "Change": "tests/contracts/test_key_store.py",
    "LedgerStore": "tests/contracts/test_ledger_store.py",
}
WITHOUT_BACKEND = {
    "Clock": "time itself",
    "Stage": "one rule a file, each with its own tests",
    "WaitingStage": "the same for a plugin's rule that must wait",
    "Dialect": "a wire format with a corpus of its own",
    "UsageTap": "part of a dialect",
    "Translator": "a pair of dialects, tried there and back",
    "Translated": "what a translator made",
}


def protocols() -> set[str]:
    return {
        node.name
        for path in python_files("gateway_proxy/core")
        for node in parse(path).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }


def test_every_protocol_is_accounted_for() -> None:
    assert PACKAGE.is_dir()
    assert protocols() <= set(SUITES) | set(WITHOUT_BACKEND)
    assert set(SUITES) <= protocols()


def test_every_backend_has_its_suite() -> None:
    for protocol, suite in SUITES.items():
        path = ROOT / suite
        assert path.exists(), f"{protocol} needs {suite}"
        names = [
            node.name
            for node in ast.walk(parse(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert any(name.startswith("test_") for name in names), suite
