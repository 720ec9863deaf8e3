"""What is wrong with a configuration: one `Mistake` each, all of them raised together as `ConfigError`.

Promises one rendering, `file:line: key.path: what is wrong, what to write instead`, on one line and free of
control characters. Finding mistakes and finding lines belong to `load` and `positions`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

KeyPath = tuple[str | int, ...]
"""Where a setting stands: table keys and 0-based positions in lists."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")


@dataclass(frozen=True)
class Mistake:
    """One thing to correct. `line` counts from 1; `file` and `line` are None for settings that no file holds."""

    file: Path | None
    line: int | None
    path: KeyPath
    message: str

    def __str__(self) -> str:
        place = "settings" if self.file is None else str(self.file)
        if self.line is not None:
            place += f":{self.line}"
        parts = [place, render_path(self.path), self.message] if self.path else [place, self.message]
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in ": ".join(parts))


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` lists every reason, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: Sequence[Mistake] = tuple(
            sorted(mistakes, key=lambda mistake: (mistake.line or 0, render_path(mistake.path)))
        )
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


def render_path(path: KeyPath) -> str:
    """`("providers", 1, "name")` as `providers[1].name`; keys that TOML would quote are quoted."""
    rendered = ""
    for part in path:
        if isinstance(part, int):
            rendered += f"[{part}]"
            continue
        name = part if _BARE_KEY.match(part) else json.dumps(part)
        rendered += f".{name}" if rendered else name
    return rendered
