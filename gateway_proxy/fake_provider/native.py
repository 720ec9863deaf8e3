"""Which API a path belongs to, and requests of Anthropic's, Gemini's and Azure's APIs in the terms that `job` understands.

Answers and their shapes belong to `anthropic` and `gemini`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_GEMINI = ("/v1beta/models/", "/v1/models/")
_DEPLOYMENTS = "/openai/deployments/"
_CREDENTIALS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key", "azure": "api-key"}


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """`kind` is the key of the reply: a path of OpenAI's or Anthropic's API, or a method of Gemini's."""

    api: str
    kind: str
    model: str = ""
    as_array: bool = False


def read_address(path: str, query: Mapping[str, list[str]]) -> Address:
    """What a path asks for, whether or not there is such a thing."""
    if path.startswith("/v1/messages"):
        return Address("anthropic", path)
    for start in _GEMINI:
        if path.startswith(start) and ":" in path:
            model, _, method = path.removeprefix(start).rpartition(":")
            as_array = method == "streamGenerateContent" and query.get("alt") != ["sse"]
            return Address("gemini", method, unquote(model), as_array)
    if path.startswith(_DEPLOYMENTS):
        model, _, endpoint = path.removeprefix(_DEPLOYMENTS).partition("/")
        known = bool(query.get("api-version"))
        return Address("azure", f"/v1/{endpoint}" if known else "", unquote(model))
    if path.startswith("/openai/v1/"):
        return Address("azure", path.removeprefix("/openai"))
    if path.startswith("/openai/") and query.get("api-version"):
        return Address("azure", "/v1" + path.removeprefix("/openai"))
    return Address("openai", path)


def find_credential(api: str, headers: Mapping[str, str]) -> str:
    """The key, where this API has it; empty without one."""
    name = _CREDENTIALS.get(api)
    if name is None:
        return headers.get("authorization", "").removeprefix("Bearer ")
    return headers.get(name, "")


def translate(address: Address, body: dict[str, Any]) -> dict[str, Any]:
    """The body as if OpenAI's chat API had been asked."""
    if address.api == "anthropic":
        return _translate_anthropic(body)
    if address.api == "gemini":
        return _translate_gemini(address, body)
    return {**body, "model": address.model} if address.model else body


def _translate_anthropic(body: dict[str, Any]) -> dict[str, Any]:
    tools = [
        {"type": "function", "function": {"name": tool.get("name"), "parameters": tool.get("input_schema")}}
        for tool in _objects(body.get("tools"))
        if "input_schema" in tool
    ]
    return {
        "model": body.get("model"),
        "messages": body.get("messages"),
        "instructions": body.get("system"),
        "max_tokens": body.get("max_tokens"),
        "stream": body.get("stream"),
        "tools": tools,
    }


def _translate_gemini(address: Address, body: dict[str, Any]) -> dict[str, Any]:
    asked = body.get("generateContentRequest") or body
    contents = asked.get("contents") or [asked.get("content")]
    contents += [request.get("content") for request in _objects(asked.get("requests"))]
    messages = [
        {"role": content.get("role", "user"), "content": content.get("parts")}
        for content in _objects(contents)
    ]
    config = asked.get("generationConfig") or {}
    tools = [
        {
            "type": "function",
            "function": {**function, "parameters": _read_schema(function)},
        }
        for tool in _objects(asked.get("tools"))
        for function in _objects(tool.get("functionDeclarations"))
    ]
    return {
        "model": address.model,
        "messages": messages,
        "instructions": asked.get("systemInstruction"),
        "max_tokens": config.get("maxOutputTokens"),
        "n": config.get("candidateCount"),
        "stream": address.kind == "streamGenerateContent",
        "tools": tools,
        "requests": len(_objects(asked.get("requests"))),
    }


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _read_schema(function: dict[str, Any]) -> Any:
    if "parametersJsonSchema" in function:
        return function["parametersJsonSchema"]
    return _lower_types(function.get("parameters"))


def _lower_types(schema: Any) -> Any:
    """Gemini writes the types of a schema in capitals."""
    if isinstance(schema, dict):
        return {
            name: value.lower() if name == "type" and isinstance(value, str) else _lower_types(value)
            for name, value in schema.items()
        }
    return [_lower_types(entry) for entry in schema] if isinstance(schema, list) else schema
