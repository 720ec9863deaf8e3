"""A figure's file is what the README's section reads."""

from pathlib import Path

from bench.figure import Figure, write
from bench.readme import read_results


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = write(
        "speed", [Figure("overhead", 1.5, 0.7, "ms", True), Figure("kills", 0, 0, "rows", True)], tmp_path
    )
    assert path == tmp_path / "speed.json"
    first, second = read_results(tmp_path)["speed"]
    assert (first["name"], first["bound"], first["measured"], first["passed"]) == ("overhead", 1.5, 0.7, True)
    assert second["unit"] == "rows"
    assert len(first["commit"].rstrip("+")) == 40
    assert "cores" in first["machine"]
    assert first["date"].endswith("Z")


def test_a_new_result_replaces_the_old_one(tmp_path: Path) -> None:
    write("speed", [Figure("old", 1, 2, "s", False)], tmp_path)
    write("speed", [Figure("new", 1, 1, "s", True)], tmp_path)
    assert [result["name"] for result in read_results(tmp_path)["speed"]] == ["new"]
