"""What people and programs read: aligned tables, JSON, times and money in words. Prints to standard output only."""

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_json(value: Any) -> None:
    """One JSON document, indented for a terminal and compact for a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    separators = None if indent else (",", ":")
    print(json.dumps(value, ensure_ascii=False, indent=indent, separators=separators))


def print_table(
    header: Sequence[str], rows: Sequence[Sequence[object]], right: frozenset[int] = frozenset()
) -> None:
    """Columns as wide as their widest cell; those in `right` are aligned to the right."""
    lines = [list(header), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """One `label  value` a line."""
    width = max(len(label) for label, _ in fields)
    for label, value in fields:
        print(f"{label.ljust(width)}  {printable(str(value))}".rstrip())


def printable(text: str) -> str:
    """The text without anything that would move a terminal's cursor or turn its direction."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def short_time(text: str | None, empty: str = "-") -> str:
    """An RFC 3339 time to the minute."""
    return f"{text[:10]} {text[11:16]}" if text else empty


def limit(value: object) -> str:
    """A limit in words: null is none, an empty list allows nothing."""
    if value is None:
        return "no limit"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none allowed"
    return str(value)
