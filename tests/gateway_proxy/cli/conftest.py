"""Runs the command line in this process, in an empty folder with an empty environment of its own."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.cli.main import run


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_PROXY_CONFIG", raising=False)
    monkeypatch.delenv("GATEWAY_PROXY_DEBUG", raising=False)

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def made(cli: Cli) -> dict[str, Any]:
    """A key named alpha; its object and secret."""
    return cli("keys", "create", "--name", "alpha", "--json").json
