"""Layout changes blanks between tokens only."""

import json

import pytest

from dashboard.json_layout import lay_out


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, {"b": 'x: {\n"}'}], "c": {}, "d": [], "e": 0.10, "f": None},
        [],
        {},
        [[[]]],
        {"": "\\"},
        "x" * 10,
    ],
)
def test_json_is_laid_out_as_usual(value: object) -> None:
    text = json.dumps(value, separators=(",", ":"))
    assert lay_out(text) == (json.dumps(value, indent=2) if text[0] in "{[" else text)


def test_numbers_and_repeated_names_stay_as_they_were_sent() -> None:
    assert lay_out('{"a":1.00, "a":1e400}') == '{\n  "a": 1.00,\n  "a": 1e400\n}'


def test_what_was_cut_is_laid_out_to_its_end() -> None:
    assert (
        lay_out('{"a":{"b":"half… [cut: 70,000 bytes]') == '{\n  "a": {\n    "b": "half… [cut: 70,000 bytes]'
    )
    assert lay_out('["a\\') == '[\n  "a\\'


@pytest.mark.parametrize("text", ["", "words", "data: {}\n\n", "[audio/mpeg, 12,345 bytes]"])
def test_what_is_no_json_stays(text: str) -> None:
    assert lay_out(text) == text


@pytest.mark.parametrize("hostile", ["[" * 65_536, "]" * 65_536, '["' * 30_000, "[,:" * 20_000])
def test_no_text_becomes_huge(hostile: str) -> None:
    assert len(lay_out(hostile)) < 8 * len(hostile)
