"""Nothing in a tracked file tells where it was made, and nothing in it is a secret."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.habits.sources import ROOT

# Put together here, so that this file does not hold what it looks for.
_FORBIDDEN = {
    "a place outside the checkout": re.compile(
        "|".join(
            (
                r"(?<![\w.])/" + "work/",
                r"/tmp/" + "wt/",
                "/ro" + "ot/",
                "/home/" + r"[a-z]+/",
                "/Users/" + r"[a-z]+/",
            )
        )
    ),
    "a package index": re.compile(
        "|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "--" + "index-url"))
    ),
    "a private key": re.compile("BEGIN [A-Z ]*" + "PRIVATE KEY"),
    "a provider's credential": re.compile(r"\bsk-" + r"(?:proj-|ant-)?[A-Za-z0-9]{32,}"),
    "how it was written": re.compile(
        "|".join(
            (
                r"\bclau" + "de code",
                "co-authored" + "-by",
                r"\bcontract " + "§",
                "as an " + r"ai\b",
            )
        ),
        re.IGNORECASE,
    ),
    "an unfinished mark": re.compile(r"\b(?:" + "TO" + "DO|FIX" + r"ME|X" + r"XX)\b"),
}


def tracked_files() -> list[Path]:
    """Files that are in the repository or about to be; in an exported tree without one, all of them."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        names = [ROOT / name for name in done.stdout.split("\0") if name]
    else:
        names = [
            path
            for path in ROOT.rglob("*")
            if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
    return [path for path in names if path.is_file()]


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_tracked_file_holds_what_must_stay_out() -> None:
    files = tracked_files()
    assert ROOT / "pyproject.toml" in files
    found = []
    for path in files:
        text, name = read(path), path.relative_to(ROOT).as_posix()
        for what, pattern in _FORBIDDEN.items():
            if text is not None and (match := pattern.search(text)):
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{name}:{line} holds {what}: {match.group()[:12]!r}…")
    assert not found, "\n".join(found)


def test_runtime_requirements_are_what_is_tested() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z0-9._-]+==[^\s;\\]+)", text, re.MULTILINE))

    assert pins("runtime.txt")
    assert pins("runtime.txt") <= pins("dev.txt")


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "clients.txt"])
def test_every_requirement_is_held_by_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines
    assert all("==" in line and "--hash=sha256:" in line for line in lines)


def test_every_npm_package_is_held_by_a_checksum() -> None:
    lock = json.loads((ROOT / "requirements/npm/package-lock.json").read_text(encoding="utf-8"))
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values()), (
        "the reader's npm knows where from"
    )


def test_declared_dependencies_and_requirements_agree() -> None:
    def normal(line: str) -> str:
        return re.sub(r"[\s'\"]", "", line)

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert block
    declared = {normal(line).rstrip(",") for line in block[1].splitlines() if line.strip()}
    source = (ROOT / "requirements/runtime.in").read_text(encoding="utf-8")
    assert declared == {normal(line) for line in source.splitlines() if line and not line.startswith("#")}
