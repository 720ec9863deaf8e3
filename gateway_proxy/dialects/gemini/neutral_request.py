"""The neutral form to requests of generateContent. Which member a thinking model takes depends on its name."""

import mimetypes
from typing import Any

import orjson

from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects.gemini.content import understand_generation
from gateway_proxy.dialects.neutral.request import (
    Call,
    Inexpressible,
    Media,
    Part,
    Request,
    Result,
    Text,
    Tool,
)

_MODELS = "/v1beta/models/"
_ROLES = {"user": "user", "assistant": "model"}
_MODES = {"auto": "AUTO", "none": "NONE", "any": "ANY", "tool": "ANY"}
# Until the third generation thinking has a budget of tokens; from then on it has levels.
_WITH_BUDGET = ("gemini-1", "gemini-2")
_BUDGETS = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 24_576,
    "max": 24_576,
}
_LEVELS = {
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}
# What Google documents for calls that another model made (https://ai.google.dev/gemini-api/docs/thought-signatures).
_NO_SIGNATURE = "skip_thought_signature_validator"


def write_request(request: Request, model: str) -> Route:
    """The route as `identify` would make it, the maximum apart, which `encode` writes. Raises Inexpressible."""
    if request.parallel is False and request.tools:
        raise Inexpressible("parallel", "Gemini's API cannot be told to make one call at a time")
    names: dict[str, str] = {}
    contents = []
    for turn in request.turns:
        parts = _write_parts(turn.parts, names, wants_signatures=not model.startswith(_WITH_BUDGET))
        if parts:
            contents.append({"role": _ROLES[turn.role], "parts": parts})
    body: dict[str, Any] = {"contents": contents}
    if request.system:
        body["systemInstruction"] = {"parts": [{"text": text.text} for text in request.system]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_write_tool(tool) for tool in request.tools]}]
        choice = _write_choice(request)
        if choice is not None:
            body["toolConfig"] = {"functionCallingConfig": choice}
    config = _write_config(request, model)
    if config:
        body["generationConfig"] = config
    encoded = orjson.dumps(body)
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    route = Route(
        "gemini",
        f"{_MODELS}:{method}",
        model,
        stream=request.stream,
        body=body,
        body_bytes=len(encoded),
        bound=InputBound(len(encoded)),
        encoded=encoded,
    )
    understand_generation(body, route)
    return route


def _write_config(request: Request, model: str) -> dict[str, Any]:
    told = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "stopSequences": request.stop or None,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
    }
    config: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    if request.format is not None:
        config["responseMimeType"] = "application/json"
        if request.format.schema is not None:
            config["responseJsonSchema"] = request.format.schema
    if request.effort is not None:
        if model.startswith(_WITH_BUDGET):
            config["thinkingConfig"] = {"thinkingBudget": _BUDGETS[request.effort]}
        elif request.effort == "none":
            raise Inexpressible("effort", f"the model {model!r} cannot be kept from thinking")
        else:
            config["thinkingConfig"] = {"thinkingLevel": _LEVELS[request.effort]}
    elif request.thinking_tokens is not None:
        config["thinkingConfig"] = {"thinkingBudget": request.thinking_tokens}
    return config


def _write_choice(request: Request) -> dict[str, Any] | None:
    if request.choice in (None, "auto") and any(tool.strict for tool in request.tools):
        return {"mode": "VALIDATED"}
    if request.choice is None:
        return None
    choice: dict[str, Any] = {"mode": _MODES[request.choice]}
    if request.choice == "tool":
        choice["allowedFunctionNames"] = [request.chosen]
    return choice


def _write_tool(tool: Tool) -> dict[str, Any]:
    told: dict[str, Any] = {"name": tool.name, "parametersJsonSchema": tool.schema}
    if tool.description:
        told["description"] = tool.description
    return told


def _write_parts(parts: list[Part], names: dict[str, str], *, wants_signatures: bool) -> list[dict[str, Any]]:
    """`names` collects the functions' names by the calls' ids, for their results."""
    written: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, Text):
            if part.text:
                written.append({"text": part.text})
        elif isinstance(part, Call):
            names[part.id] = part.name
            call: dict[str, Any] = {
                "functionCall": {"id": part.id, "name": part.name, "args": part.arguments}
            }
            is_first = not any("functionCall" in other for other in written)
            signature = part.signature or (_NO_SIGNATURE if is_first and wants_signatures else "")
            written.append({**call, "thoughtSignature": signature} if signature else call)
        elif isinstance(part, Result):
            written.append({"functionResponse": _write_result(part, names)})
        elif isinstance(part, Media):
            written.append(_write_media(part))
    return written  # thoughts of earlier turns stay behind: the model does not want them


def _write_result(result: Result, names: dict[str, str]) -> dict[str, Any]:
    name = names.get(result.call_id)
    if name is None:
        raise Inexpressible("turns", f"the result {result.call_id[:64]!r} belongs to no call before it")
    texts = []
    for part in result.parts:
        if type(part) is not Text:
            raise Inexpressible("turns", "a tool's result can hold text only for Gemini's API")
        texts.append(part.text)
    response = {"error" if result.is_error else "output": "\n".join(texts)}
    return {"id": result.call_id, "name": name, "response": response}


def _write_media(part: Media) -> dict[str, Any]:
    if not part.url:
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    media_type = part.media_type
    if media_type.endswith("/*") or not media_type:
        media_type = mimetypes.guess_type(part.url.partition("?")[0])[0] or ""
    if not media_type:
        raise Inexpressible(
            "turns", "Gemini's API wants to know the type of a picture by URL: end it in .png or the like"
        )
    return {"fileData": {"mimeType": media_type, "fileUri": part.url}}
