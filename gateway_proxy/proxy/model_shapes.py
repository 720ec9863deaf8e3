"""How each dialect writes a model and a list of models. Which models those are is decided elsewhere."""

from collections.abc import Sequence
from typing import Any

from gateway_proxy.core.catalog import ModelEntry

_BIRTH = "1970-01-01T00:00:00Z"  # what Anthropic's API says where the day is unknown


def describe_model(model: ModelEntry, dialect: str) -> dict[str, Any]:
    """One model as a client of this dialect expects it."""
    if dialect == "gemini":
        described: dict[str, Any] = {
            "name": f"models/{model.name}",
            "version": model.name,
            "displayName": model.name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens", "embedContent"],
        }  # fmt: skip
        if model.max_input_tokens is not None:
            described["inputTokenLimit"] = model.max_input_tokens
        if model.max_output_tokens is not None:
            described["outputTokenLimit"] = model.max_output_tokens
        return described
    if dialect == "anthropic":
        return {
            "type": "model",
            "id": model.name,
            "display_name": model.name,
            "created_at": _BIRTH,
            "lifecycle": "active",
            "max_input_tokens": model.max_input_tokens,
            "max_tokens": model.max_output_tokens,
        }
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": model.owned_by or model.targets[0].provider,
    }


def describe_models(models: Sequence[ModelEntry], dialect: str) -> dict[str, Any]:
    """All models in one page: nobody has to ask for a second one."""
    described = [describe_model(model, dialect) for model in models]
    if dialect == "gemini":
        return {"models": described}
    if dialect == "anthropic":
        names = [model.name for model in models]
        ends = (names[0], names[-1]) if names else (None, None)
        return {"data": described, "has_more": False, "first_id": ends[0], "last_id": ends[1]}
    return {"object": "list", "data": described}
