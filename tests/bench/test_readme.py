"""The figures in the README come from the result files and from nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.readme import (
    BEGIN,
    END,
    HEADLINES,
    NO_RESULTS,
    ROOT,
    fill,
    main,
    read_results,
    render,
    render_headlines,
)

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
    names = {file: [result["name"] for result in group] for file, group in read_results(tmp_path).items()}
    assert names == {"a": ["first", "second"], "b": ["added latency p50"]}


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
    assert row in render({"cost": [RESULT | changes]}).splitlines()


def test_each_file_has_its_table_and_command() -> None:
    text = render({"cost": [RESULT], "fleet": [RESULT | {"machine": "8 cores"}]})
    assert "## `./run bench cost`\n\nOn 2 cores, at commit `abc`:" in text
    assert "## `./run soak fleet`\n\nOn 8 cores, at commit `abc`:" in text
    assert text.count("|---|---|---|") == 2


def test_headlines_have_titles_of_their_own_and_need_a_result() -> None:
    file, ending, title = HEADLINES[0]
    text = render_headlines({file: [RESULT, RESULT | {"name": f"x {ending}"}]})
    assert text.splitlines()[2:] == [f"| {title} | 1 ms | 0.41 ms |"]


def test_only_the_section_is_replaced() -> None:
    assert fill(f"above\n{BEGIN}\nold\n{END}\nbelow", "new") == f"above\n{BEGIN}\nnew\n{END}\nbelow"
    with pytest.raises(ValueError, match="marks"):
        fill("no marks", "new")


def test_the_command_fills_both_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme, page = tmp_path / "README.md", tmp_path / "figures.md"
    for path in (readme, page):
        path.write_text(f"{BEGIN}{END}")
    file, ending, title = HEADLINES[0]
    (tmp_path / f"{file}.json").write_text(json.dumps(RESULT | {"name": ending}))
    options = ["--results", str(tmp_path), "--readme", str(readme), "--page", str(page)]
    monkeypatch.setattr("sys.argv", ["readme", *options])
    assert main() == 0
    assert f"| {title} | 1 ms | 0.41 ms |" in readme.read_text()
    assert f"| {ending} | 1 ms | 0.41 ms |" in page.read_text()


def test_the_pages_show_the_recorded_results() -> None:
    results = read_results(ROOT / "bench/results")
    for path, section in (("README.md", render_headlines(results)), ("docs/figures.md", render(results))):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert fill(text, section) == text
    assert render({}) == render_headlines({}) == NO_RESULTS


def test_each_headline_is_recorded() -> None:
    results = read_results(ROOT / "bench/results")
    for file, ending, _ in HEADLINES:
        assert any(result["name"].endswith(ending) for result in results[file]), (file, ending)
