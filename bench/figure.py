"""A measured figure, its bound, and the file that keeps it with the commit, the date and the machine it was measured on."""

import dataclasses
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"


@dataclasses.dataclass(frozen=True)
class Figure:
    """`passed` says whether `measured` keeps `bound`; both are in `unit`, and the name says which way the bound points."""

    name: str
    bound: float | int | str | None
    measured: float | int | str
    unit: str
    passed: bool


def write(results_name: str, figures: list[Figure], folder: Path = RESULTS) -> Path:
    """Write `folder`/`results_name`.json anew; returns its path. Raises OSError."""
    where = {
        "commit": read_commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": describe_machine(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results_name}.json"
    rows = [{**dataclasses.asdict(figure), **where} for figure in figures]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def read_commit() -> str:
    """The commit of the working tree, with `+` when the tree differs from it; "" outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD").strip()
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed.strip() else "")


def describe_machine() -> str:
    """Processor, cores that this process may use, operating system, Python."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
