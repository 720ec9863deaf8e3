"""The example file, as it is and with every optional line in use."""

import re
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"


@pytest.fixture(scope="session")
def example() -> dict[bool, str]:
    """The example's text: False = as it is, True = with each `#setting` in use."""
    text = EXAMPLE.read_text(encoding="utf-8")
    used: list[str] = []
    for row in text.splitlines():
        if not re.match(r"#[^ :]", row) and not row.startswith("#  {"):
            used.append(row)
            continue
        setting = row[1:]
        key = setting.partition(" =")[0]
        if used and used[-1].startswith(f"{key} ="):
            used.pop()
        used.append(setting)
    return {False: text, True: "\n".join(used)}
