"""Puts the results of bench/results into docs/figures.md, and the headlines into README.md: run `python -m bench.readme`.

Each file holds one result or a list of them: `{"name", "bound", "measured", "unit", "commit", "machine"}`. What is measured, and
whether a figure keeps its bound, is decided where it is measured.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.run import FLEETS, SOAKS

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
NO_RESULTS = "No results are recorded yet."
MEMBERS = ("name", "bound", "measured", "unit", "commit", "machine")
HEADER = "| Figure | Bound | Measured |\n|---|---|---|"
HEADLINES = (  # file, end of the result's name, what the README calls it
    ("cost", "bare aiohttp, 1 KB", "CPU per request, every rule on, of a bare aiohttp pass-through's: 1 KB"),
    ("cost", "bare aiohttp, 32 KB", "the same, 32 KB"),
    ("cost", "TLS to the provider", "the same, 1 KB, TLS to the provider"),
    ("cost", "chunk / bare aiohttp", "CPU per streamed chunk, of the same pass-through's"),
    ("cost", "one core, 1 KB", "requests/s on one core"),
    ("shared", "sharing adds to the gateway", "CPU per request that limits shared on Redis add"),
    ("memory", "start to ready, 1,000 keys", "start to ready"),
    ("memory", "idle memory, 1,000 keys", "memory, idle"),
    ("memory", "each open stream", "memory for each open stream"),
    (
        "budget",
        "outside of rows marked estimated",
        "difference of our books and the provider's, killed in between",
    ),
    ("kills", "accepted without a row", "100 SIGKILLs under load: requests without a row"),
    ("buckets", "at 10 times the limit", "most requests in any 60 s at ten times the limit"),
    ("fleet", "charged above the budget", "4 gateways, Redis and a gateway killed: charged above the budget"),
    (
        "push",
        "former state, p99",
        "a change, from its answer to the last request by the former state on 4 gateways, p99",
    ),
    ("rolling", "streams that failed", "rolling restart under 200 streams: streams that failed"),
    ("reloads", "1000 reloads", "1,000 reloads under load: requests that failed"),
    ("pages", "no filter, 10,000,000 requests, p95", "the request log's page over 10,000,000 requests, p95"),
)


def read_results(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The results of each file, by its name without the suffix. Raises ValueError naming the file that has none."""
    results: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        results[path.stem] = value if isinstance(value, list) else [value]
        for result in results[path.stem]:
            missing = [name for name in MEMBERS if not isinstance(result, dict) or name not in result]
            if missing:
                raise ValueError(f"{path}: a result lacks {', '.join(missing)}")
    return results


def render(results: dict[str, list[dict[str, Any]]]) -> str:
    """All of them: a table for each file, with the command that measures it."""
    sections = []
    for name, group in results.items():
        command = "soak" if name in SOAKS + FLEETS else "bench"
        place = f"{group[0]['machine']}, at commit `{group[0]['commit'][:12]}`" if group else NO_RESULTS
        rows = [_row(result, result["name"]) for result in group]
        sections.append("\n".join((f"## `./run {command} {name}`", "", f"On {place}:", "", HEADER, *rows)))
    return "\n\n".join(sections) or NO_RESULTS


def render_headlines(results: dict[str, list[dict[str, Any]]]) -> str:
    """The README's table: of each headline the first result whose name ends so. What is not recorded is left out."""
    rows = []
    for file, ending, title in HEADLINES:
        found = [result for result in results.get(file, ()) if result["name"].endswith(ending)]
        rows += [_row(result, title) for result in found[:1]]
    return "\n".join((HEADER, *rows)) if rows else NO_RESULTS


def fill(text: str, section: str) -> str:
    """The text with its figures section replaced. Raises ValueError without the two marks in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the marks {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def _row(result: dict[str, Any], title: str) -> str:
    return f"| {_cell(title)} | {_amount(result, 'bound')} | {_amount(result, 'measured')} |"


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
    parser = argparse.ArgumentParser(description="Put bench/results into README.md and docs/figures.md.")
    parser.add_argument("--results", type=Path, default=ROOT / "bench/results")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/figures.md")
    options = parser.parse_args()
    try:
        results = read_results(options.results)
        for path, section in ((options.readme, render_headlines(results)), (options.page, render(results))):
            path.write_text(fill(path.read_text(encoding="utf-8"), section), encoding="utf-8")
    except (OSError, ValueError) as error:
        print(f"bench.readme: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
