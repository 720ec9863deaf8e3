"""Puts the results of bench/results into the figures section of README.md: run `python -m bench.readme`.

Each file holds one result or a list of them: `{"name", "bound", "measured", "unit", "commit", "machine"}`. What is measured, and
whether a figure keeps its bound, is decided where it is measured.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
NO_RESULTS = "No results are recorded yet."
MEMBERS = ("name", "bound", "measured", "unit", "commit", "machine")


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Every result, by file name and the order in it. Raises ValueError naming the file that is not one."""
    results: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        for result in value if isinstance(value, list) else [value]:
            missing = [name for name in MEMBERS if not isinstance(result, dict) or name not in result]
            if missing:
                raise ValueError(f"{path}: a result lacks {', '.join(missing)}")
            results.append(result)
    return results


def render(results: list[dict[str, Any]]) -> str:
    """The section's text: a table for each machine and commit."""
    if not results:
        return NO_RESULTS
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((str(result["machine"]), str(result["commit"])), []).append(result)
    tables = []
    for (machine, commit), group in groups.items():
        lines = [
            f"On {machine}, at commit `{commit[:12]}`:",
            "",
            "| Figure | Bound | Measured |",
            "|---|---|---|",
        ]
        lines += [
            f"| {_cell(result['name'])} | {_amount(result, 'bound')} | {_amount(result, 'measured')} |"
            for result in group
        ]
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def fill(readme: str, section: str) -> str:
    """The text with its figures section replaced. Raises ValueError without the two marks in order."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md needs the marks {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def _amount(result: dict[str, Any], member: str) -> str:
    value = result[member]
    if value is None:
        return "-"
    if isinstance(value, float):
        value = f"{value:,.3f}".rstrip("0").rstrip(".")
    elif isinstance(value, int):
        value = f"{value:,}"
    return _cell(f"{value} {result['unit']}".strip())


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def main() -> int:
    """Returns 1 for results that cannot be read."""
    parser = argparse.ArgumentParser(description="Put bench/results into README.md.")
    parser.add_argument("--results", type=Path, default=ROOT / "bench/results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args()
    try:
        text = options.readme.read_text(encoding="utf-8")
        options.readme.write_text(fill(text, render(read_results(options.results))), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"bench.readme: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
