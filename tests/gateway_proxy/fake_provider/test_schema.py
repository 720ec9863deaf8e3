"""The dullest answers to schemas."""

from typing import Any

import pytest

from gateway_proxy.fake_provider.schema import answer_schema


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "x"),
        ({"type": "integer"}, 1),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["string", "null"]}, "x"),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "items": {"type": "string"}, "minItems": 2}, ["x", "x"]),
        ({"enum": ["red", "green"]}, "red"),
        ({"const": 5}, 5),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        (
            {"properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}},
            {"a": {"b": "x"}},
        ),
        ({"$defs": {"n": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, {"a": 1}),
        ({"$ref": "#/nowhere"}, None),
        ("not a schema", None),
    ],
)
def test_answers(schema: Any, value: Any) -> None:
    assert answer_schema(schema) == value


def test_a_schema_that_holds_itself_ends() -> None:
    answer = answer_schema({"type": "object", "properties": {"next": {"$ref": "#"}}})
    assert set(answer) == {"next"}
