"""Reads single members of a parsed body, for all dialects: the type and the range, never the meaning."""

from typing import Any

from gateway_proxy.core.errors import BadExchange

LARGEST_CHOICES = 128
LARGEST_CAP = 10**9
TOKENS_PER_MESSAGE = 16
TOKENS_WITH_TOOLS = 1024


def wrong_type(param: str, wanted: str) -> BadExchange:
    """A member whose value policy cannot act on."""
    return BadExchange(f"{param!r} must be {wanted}.", code="invalid_type", param=param)


def read_flag(body: dict[str, Any], name: str, parent: str = "") -> bool:
    """A boolean; null and absent are False."""
    value = body.get(name)
    if value is None or type(value) is bool:
        return bool(value)
    raise wrong_type(parent + name, "true or false")


def read_count(body: dict[str, Any], name: str, lowest: int, highest: int) -> int | None:
    """An integer within bounds; None if null or absent."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not lowest <= value <= highest:
        raise wrong_type(name, f"an integer from {lowest} to {highest}")
    return value


def read_list(body: dict[str, Any], name: str) -> list[Any]:
    """A list; null and absent are empty."""
    value = body.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise wrong_type(name, "a list")
    return value


def read_text(body: dict[str, Any], name: str) -> str | None:
    """A string; None if null or absent."""
    value = body.get(name)
    if value is None or type(value) is str:
        return value
    raise wrong_type(name, "a string")


def read_model_name(body: dict[str, Any]) -> str:
    """The name as asked for. Raises BadExchange (model_missing, invalid_type)."""
    model = body.get("model")
    if type(model) is str and model:
        return model
    if model is None or model == "":
        raise BadExchange("'model' is missing: name the model to call.", code="model_missing", param="model")
    raise wrong_type("model", "a string")
