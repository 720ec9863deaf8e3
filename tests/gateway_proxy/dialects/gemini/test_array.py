"""array: elements in order, however the array is cut."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proxy.dialects.findings import MAX_EVENT_BYTES
from gateway_proxy.dialects.gemini.array import ArrayReader

VALUES = st.recursive(
    st.none()
    | st.integers(-5, 5)
    | st.text(max_size=6)
    | st.sampled_from(['"', "\\", '\\"', "]}", "[{", "ä"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def read(data: bytes, cuts: list[int]) -> tuple[list[Any], bool]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    reader = ArrayReader()
    found = [orjson.loads(e) for start, end in pairwise(edges) for e in reader.feed(data[start:end])]
    return found, reader.finished


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=3), max_size=4),
    st.lists(st.integers(0, 10**6), max_size=10),
    st.booleans(),
)
def test_any_array_in_any_pieces(elements: list[dict[str, Any]], cuts: list[int], indented: bool) -> None:
    data = orjson.dumps(elements, option=orjson.OPT_INDENT_2 if indented else 0)
    assert read(data, cuts) == (elements, True)
    assert read(data[:-1], cuts) == (elements, False)


def test_bytewise() -> None:
    data = b' [ {"a": "\\\\\\"]}"}\r\n, {"b": [{}, {"c": 1}]} ] '
    assert read(data, list(range(len(data)))) == ([{"a": '\\"]}'}, {"b": [{}, {"c": 1}]}], True)


@pytest.mark.parametrize("data", [b"", b"{}", b'"text"', b"]]]", b"nonsense"])
def test_what_is_no_array_yields_nothing(data: bytes) -> None:
    assert list(ArrayReader().feed(data)) == []


def test_an_endless_element_is_not_kept() -> None:
    reader = ArrayReader()
    assert list(reader.feed(b'[{"a":"')) == []
    for _ in range(9):
        assert list(reader.feed(b"x" * (MAX_EVENT_BYTES // 8))) == []
    assert list(reader.feed(b'"},{"b":1}]')) == [b'{"b":1}'] and reader.finished
