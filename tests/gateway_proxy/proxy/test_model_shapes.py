"""model_shapes: the same models, in each dialect's words."""

import pytest

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.proxy.model_shapes import describe_model, describe_models

MODELS = [
    ModelEntry("a/b", (Target("acme", "b"),), max_input_tokens=100, max_output_tokens=9),
    ModelEntry("c", (Target("acme", "c"),), owned_by="other"),
]


def test_openai() -> None:
    listed = describe_models(MODELS, "openai")
    assert [(model["id"], model["owned_by"]) for model in listed["data"]] == [("a/b", "acme"), ("c", "other")]
    assert describe_models([], "azure") == {"object": "list", "data": []}


@pytest.mark.slow
def test_anthropic() -> None:
    import anthropic.types  # takes a second: its check of the shape is the client's own

    listed = describe_models(MODELS, "anthropic")
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("a/b", "c", False)
    model = anthropic.types.ModelInfo.model_validate(listed["data"][0])
    assert (model.id, model.max_input_tokens, model.max_tokens, model.lifecycle) == ("a/b", 100, 9, "active")
    assert describe_models([], "anthropic") == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_gemini() -> None:
    model = describe_model(MODELS[0], "gemini")
    assert (model["name"], model["inputTokenLimit"], model["outputTokenLimit"]) == ("models/a/b", 100, 9)
    assert "inputTokenLimit" not in describe_model(MODELS[1], "gemini")
    assert [m["name"] for m in describe_models(MODELS, "gemini")["models"]] == ["models/a/b", "models/c"]


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini", "azure"])
def test_one_is_written_as_in_the_list(dialect: str) -> None:
    listed = describe_models(MODELS, dialect)
    assert describe_model(MODELS[0], dialect) == next(iter(listed.get("data") or listed["models"]))
