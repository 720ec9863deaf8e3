"""Which row of a provider's price table a model name means.

Promises the answer of genai-prices: rows in order, case ignored, the first match wins. Reading the table belongs to `book`.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date

Clause = str | list["Clause"] | None
"""A name in lower case; `[kind, text]`; `["or"|"and", clause…]`; None: one of the row's names, in any case."""

_COMPACT_DATE = re.compile(r"-(20[0-9]{2})([0-9]{2})([0-9]{2})(?=-|:|$)")


class Matcher:
    """The rows of one provider, by name."""

    def __init__(self, rows: Sequence[tuple[Sequence[str], Clause]]) -> None:
        self._exact: dict[str, int] = {}
        self._patterns: list[tuple[int, Callable[[str], bool]]] = []
        for index, (names, clause) in enumerate(rows):
            parts = [name.lower() for name in names] if clause is None else _alternatives(clause)
            for part in parts:
                if isinstance(part, str):
                    self._exact.setdefault(part, index)
                elif part is not None:
                    self._patterns.append((index, _compile(part)))

    def find(self, name: str) -> int | None:
        """The index of the first row that the name matches."""
        lowered = name.lower()
        best = self._exact.get(lowered)
        for index, matches in self._patterns:
            if best is not None and index > best:
                break
            if matches(lowered):
                return index
        return best


def dash_compact_date(name: str) -> str:
    """`gpt-5.2-20251211` as `gpt-5.2-2025-12-11`; anything but a real date of this century stays."""
    return _COMPACT_DATE.sub(_dash, name)


def _dash(found: re.Match[str]) -> str:
    try:
        return f"-{date(*map(int, found.groups())).isoformat()}"
    except ValueError:
        return found[0]


def _alternatives(clause: Clause) -> list[Clause]:
    return list(clause[1:]) if isinstance(clause, list) and clause[0] == "or" else [clause]


def _compile(clause: Clause) -> Callable[[str], bool]:
    if isinstance(clause, str):
        wanted = clause
        return lambda name: name == wanted
    assert clause is not None
    kind, *rest = clause
    if kind in ("or", "and"):
        combine = any if kind == "or" else all
        parts = [_compile(part) for part in rest]
        return lambda name: combine(part(name) for part in parts)
    text = str(rest[0])
    if kind == "starts_with":
        return lambda name: name.startswith(text)
    if kind == "ends_with":
        return lambda name: name.endswith(text)
    if kind == "contains":
        return lambda name: text in name
    if kind == "regex":
        pattern = re.compile(text)
        return lambda name: pattern.search(name) is not None
    raise ValueError(f"the price table has a clause of an unknown kind: {kind}")
