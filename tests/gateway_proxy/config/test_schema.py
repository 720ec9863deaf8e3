"""The schema describes every setting and accepts the example."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway_proxy.config import json_schema

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"


def tables_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    yield from schema["$defs"].values()


def test_it_is_valid_draft_2020_12() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_setting_is_described_and_nothing_else_is_allowed() -> None:
    schema = json_schema()
    for table in tables_of(schema):
        assert table["additionalProperties"] is False
        for name, field in table["properties"].items():
            target = schema["$defs"].get(field.get("$ref", "").removeprefix("#/$defs/"), {})
            assert field.get("description") or target.get("description"), name


@pytest.mark.parametrize("everything", [False, True], ids=["as it is", "everything used"])
def test_the_example_validates(everything: bool, example: dict[bool, str]) -> None:
    jsonschema.validate(tomllib.loads(example[everything]), json_schema())


@pytest.mark.parametrize(
    "data",
    [
        {"server": {"lisen": "x"}},
        {"providers": [{"name": "A"}]},
        {"providers": [{"name": "a", "api_key": "sk-literal"}]},
        {"models": [{"name": "m", "targets": []}]},
        {"security": {"budget_status": 430}},
        {"models": [{"name": "m", "targets": [{"provider": "a", "model": "b"}], "price": {"input": -1}}]},
    ],
)
def test_it_refuses_wrong_shapes(data: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())


def test_it_accepts_what_loads() -> None:
    jsonschema.validate(
        {
            "providers": [{"name": "openai"}, {"name": "acme", "base_url": "http://a", "api_key": "file:k"}],
            "models_default": {"unpriced": {"input": 1, "output": "2.5"}},
            "dashboard": {"oidc": {"client_secret": ""}},
        },
        json_schema(),
    )


def test_the_example_names_the_schema_on_its_first_line() -> None:
    assert EXAMPLE.read_text(encoding="utf-8").startswith("#:schema ./gateway.schema.json\n")
