"""The figures in the README come from the result files and from nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.readme import BEGIN, END, NO_RESULTS, ROOT, fill, main, read_results, render

RESULT = {
    "name": "added latency p50",
    "bound": 1,
    "measured": 0.41,
    "unit": "ms",
    "commit": "abc",
    "machine": "2 cores",
}


def test_one_result_and_a_list_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(RESULT))
    (tmp_path / "a.json").write_text(json.dumps([RESULT | {"name": "first"}, RESULT | {"name": "second"}]))
    assert [result["name"] for result in read_results(tmp_path)] == ["first", "second", "added latency p50"]


def test_a_file_that_is_no_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"name": "x"}')
    with pytest.raises(ValueError, match=r"odd\.json: a result lacks bound"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({}, "| added latency p50 | 1 ms | 0.41 ms |"),
        ({"measured": 12345, "bound": None, "unit": "req/s"}, "| added latency p50 | - | 12,345 req/s |"),
        ({"measured": 1000.0}, "| added latency p50 | 1 ms | 1,000 ms |"),
        ({"name": "a|b", "bound": "≤ 5 %", "unit": ""}, "| a\\|b | ≤ 5 % | 0.41 |"),
    ],
)
def test_a_row_shows_bound_and_measurement(changes: dict[str, Any], row: str) -> None:
    assert row in render([RESULT | changes]).splitlines()


def test_each_machine_has_its_table() -> None:
    text = render([RESULT, RESULT | {"machine": "8 cores"}])
    assert "On 2 cores, at commit `abc`:" in text
    assert text.count("|---|---|---|") == 2


def test_only_the_section_is_replaced() -> None:
    assert fill(f"above\n{BEGIN}\nold\n{END}\nbelow", "new") == f"above\n{BEGIN}\nnew\n{END}\nbelow"
    with pytest.raises(ValueError, match="marks"):
        fill("no marks", "new")


def test_the_command_fills_a_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}{END}")
    (tmp_path / "r.json").write_text(json.dumps(RESULT))
    monkeypatch.setattr("sys.argv", ["readme", "--results", str(tmp_path), "--readme", str(readme)])
    assert main() == 0
    assert "| added latency p50 | 1 ms | 0.41 ms |" in readme.read_text()


def test_the_readme_shows_the_recorded_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill(text, render(read_results(ROOT / "bench/results"))) == text
    assert render([]) == NO_RESULTS
