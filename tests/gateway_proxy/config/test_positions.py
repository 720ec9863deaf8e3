"""Every path that tomllib knows has a line, and the line holds the key."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proxy.config.positions import find_lines, nearest_line

ROOT = Path(__file__).parents[3]

NESTED_ARRAYS = """
[[a]]
x = 1
[[a.b]]
y = 1
[[a.b]]
y = 2
[a.b.c]
z = 1
[[a]]
[[a.b]]
y = 3
[[a.b.d]]
[[a.b.d]]
w = { p = [ { q = 1 }, [2, 3] ], r.s = 4 }
"""

ODD_KEYS = '''
"quoted key" = 1
'lit.eral' = 2
a . "b c" . 'd' = 3
"\\u00e9" = 4
1234 = 5
"" = 6
[ x . "y z" ]
text = """
[not.a.header]
fake = 1
"""
inline = { p = 1 } # behind
list = [ # comment
  1, # one
  # between
  { a.b = 2 },
]
'''


def paths_of(value: Any, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if prefix:
        yield prefix
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_of(item, (*prefix, key))


@pytest.mark.parametrize(
    "source",
    [
        NESTED_ARRAYS,
        ODD_KEYS,
        NESTED_ARRAYS.replace("\n", "\r\n"),
        (ROOT / "config.example.toml").read_text(encoding="utf-8"),
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
    ],
    ids=["nested arrays", "odd keys", "crlf", "example", "pyproject"],
)
def test_paths_are_those_of_tomllib(source: str) -> None:
    lines = find_lines(source.encode())
    assert set(lines) == set(paths_of(tomllib.loads(source)))


KEYS = st.sampled_from(["a", "b", "c"])
HEADERS = st.builds(
    lambda keys, array: f"[[{'.'.join(keys)}]]" if array else f"[{'.'.join(keys)}]",
    st.lists(KEYS, min_size=1, max_size=3),
    st.booleans(),
)
PAIRS = st.builds(
    lambda keys, value: f"{'.'.join(keys)} = {value}",
    st.lists(KEYS, min_size=1, max_size=2),
    st.sampled_from(["1", "[1, [2]]", "{ a = 1, b.c = [{}] }"]),
)


@pytest.mark.slow
@given(st.lists(HEADERS | PAIRS, max_size=12))
def test_paths_of_any_valid_text_are_those_of_tomllib(rows: list[str]) -> None:
    accepted: list[str] = []
    for row in rows:
        try:
            tomllib.loads("\n".join([*accepted, row]))
        except tomllib.TOMLDecodeError:
            continue
        accepted.append(row)
    source = "\n".join(accepted)
    assert set(find_lines(source.encode())) == set(paths_of(tomllib.loads(source)))


def test_lines_are_those_of_the_keys() -> None:
    lines = find_lines(NESTED_ARRAYS.encode())
    assert lines["a", 0, "b", 1, "y"] == 7
    assert lines["a", 0, "b", 1, "c", "z"] == 9
    assert lines["a", 1, "b", 0, "d", 1, "w", "p", 0, "q"] == 15


def test_a_missing_key_stands_at_its_table() -> None:
    lines = find_lines(NESTED_ARRAYS.encode())
    assert nearest_line(lines, ("a", 1, "b", 0, "missing", "deeper")) == 11
    assert nearest_line(lines, ("elsewhere",)) is None
