"""The import rules of pyproject.toml hold, and they name every part of the package."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.habits.sources import PACKAGE, ROOT


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["tool"]["importlinter"]["contracts"]


def parts() -> set[str]:
    """The packages and modules directly below gateway_proxy that the rules speak about."""
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    return folders | modules


def test_the_import_rules_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_has_its_layer() -> None:
    layers = next(contract["layers"] for contract in contracts() if contract["type"] == "layers")
    named = {re.sub(r"[()]", "", name.strip()) for layer in layers for name in layer.split("|")}
    assert named == {f"gateway_proxy.{part}" for part in parts() - {"fake_provider"}} | {"dashboard"}


def test_the_fake_provider_stands_alone() -> None:
    everything_else = {f"gateway_proxy.{part}" for part in parts() - {"fake_provider"}} | {"dashboard"}
    rules = [contract for contract in contracts() if contract["type"] == "forbidden"]
    apart = [rule for rule in rules if rule["source_modules"] == ["gateway_proxy.fake_provider"]]
    unused = [rule for rule in rules if rule["forbidden_modules"] == ["gateway_proxy.fake_provider"]]
    assert [set(rule["forbidden_modules"]) for rule in apart] == [everything_else]
    assert [set(rule["source_modules"]) for rule in unused] == [everything_else]
