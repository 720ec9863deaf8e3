"""Understands the bodies of the Gemini dialect: what policy acts on, what the input can cost, what has no bound.

Every part and member that is not known to cost only its own text makes the input opaque or the cost unbounded, so that a
feature nobody thought of can never be bounded too low.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.kept import Kept, Reference
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects.gemini.spelling import spell_alike
from gateway_proxy.dialects.members import (
    LARGEST_CAP,
    LARGEST_CHOICES,
    TOKENS_PER_MESSAGE,
    TOKENS_WITH_TOOLS,
    read_count,
    read_list,
    read_text,
    wrong_type,
)
from gateway_proxy.dialects.strict_json import refuse_variants

# What costs nothing beyond the tokens that the usage counts and the maximum bounds.
_PLAIN_MEMBERS = frozenset(
    (
        "model", "contents", "systemInstruction", "generationConfig", "tools", "toolConfig", "safetySettings", "serviceTier",
        "cachedContent",
    )
)  # fmt: skip
_PLAIN_CONFIG = frozenset(
    (
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "responseMimeType",
        "responseSchema", "responseJsonSchema", "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs",
        "enableEnhancedCivicAnswers", "thinkingConfig", "seed", "mediaResolution", "responseModalities",
    )
)  # fmt: skip
_CONFIG_POLICY = frozenset(("candidateCount", "maxOutputTokens", "responseModalities"))
_MODEL_CHOICES = ("routingConfig", "modelSelectionConfig")
MODEL_PLACES = frozenset(("model", "generateContentRequest", "requests"))
"""The members that may name a model."""
POLICY_MEMBERS = _PLAIN_MEMBERS | {"content", "requests", "generateContentRequest"}

_TEXT_PARTS = frozenset(
    (
        "text", "thought", "thoughtSignature", "thought_signature", "functionCall", "function_call", "functionResponse",
        "function_response", "executableCode", "codeExecutionResult",
    )
)  # fmt: skip
_FUNCTION_RESPONSE = frozenset(("id", "name", "response", "scheduling", "willContinue"))
_CONTENT_MEMBERS = frozenset(("role", "parts"))
_OWN_HOST = "googleapis.com"
_DECLARATIONS = ("functionDeclarations", "function_declarations")


def understand_generation(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a body of generateContent or streamGenerateContent. Raises BadExchange."""
    _understand_input(body, route)
    config = _read_object(body, "generationConfig")
    if config is not None:
        spell_alike(config)
        refuse_variants(config, _CONFIG_POLICY, "generationConfig.")
        for name in _MODEL_CHOICES:
            if config.get(name) is not None:
                raise BadExchange(
                    f"'generationConfig.{name}' is not accepted: name one model in the path.",
                    code="invalid_type",
                    param=f"generationConfig.{name}",
                )
        route.choices = read_count(config, "candidateCount", 1, LARGEST_CHOICES) or 1
        route.max_output_tokens = read_count(config, "maxOutputTokens", 1, LARGEST_CAP)
        modalities = read_list(config, "responseModalities")
        if any(type(m) is not str or m.upper() != "TEXT" for m in modalities):
            route.bound.unbounded = "how many tokens of sound or pictures come out has no bound"
        _bound_members(config, _PLAIN_CONFIG, route.bound)
    route.wants_output_cap = True
    route.service_tier = read_text(body, "serviceTier")


def understand_count(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a body of countTokens, which costs nothing. Raises BadExchange."""
    route.max_output_tokens = 0
    route.free = True


def understand_embedding(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a body of embedContent or batchEmbedContents. Raises BadExchange."""
    route.max_output_tokens = 0
    requests = read_list(body, "requests") if "requests" in body else [body]
    for request in requests:
        if type(request) is not dict:
            raise wrong_type("requests", "a list of objects")
        route.bound.tokens += TOKENS_PER_MESSAGE
        if not _is_text(request.get("content")):
            route.bound.opaque = True


def check_models(body: dict[str, Any], model: str) -> None:
    """The path names the model; a body may repeat it, and may name no other one. Raises BadExchange."""
    if MODEL_PLACES.isdisjoint(body):
        return
    for holder in _model_holders(body):
        named = holder.get("model")
        if named is not None and (type(named) is not str or named.removeprefix("models/") != model):
            raise BadExchange(
                "The body names another model than the path; name one model, in the path.",
                code="invalid_type",
                param="model",
            )


def name_model(body: dict[str, Any], model: str) -> dict[str, Any]:
    """The body with the models it repeats replaced; what the client sent stays as it is."""
    edited = dict(body)
    if edited.get("model") is not None:
        edited["model"] = f"models/{model}"
    inner = edited.get("generateContentRequest")
    if type(inner) is dict:
        edited["generateContentRequest"] = name_model(inner, model)
    requests = edited.get("requests")
    if type(requests) is list:
        edited["requests"] = [
            name_model(request, model) if type(request) is dict else request for request in requests
        ]
    return edited


def _model_holders(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield body
    inner = body.get("generateContentRequest")
    if inner is not None:
        if type(inner) is not dict:
            raise wrong_type("generateContentRequest", "an object")
        yield inner
    for request in read_list(body, "requests"):
        if type(request) is not dict:
            raise wrong_type("requests", "a list of objects")
        yield request


def _understand_input(body: dict[str, Any], route: Route) -> None:
    bound = route.bound
    contents = body.get("contents")
    if type(contents) is not list:
        raise wrong_type("contents", "a list")
    bound.tokens += TOKENS_PER_MESSAGE * (len(contents) + 1)
    for content in contents:
        if type(content) is not dict:
            raise wrong_type("contents", "a list of objects")
        if not _is_text(content):
            bound.opaque = True
            _note_files(content, route)
    if body.get("systemInstruction") is not None and not _is_text(body["systemInstruction"]):
        bound.opaque = True
    cached = read_text(body, "cachedContent")
    if cached is not None:
        bound.opaque = True
        _note(cached, "cachedContent", route)
    tools = read_list(body, "tools")
    if tools:
        bound.tokens += TOKENS_WITH_TOOLS
    for tool in tools:
        if type(tool) is not dict:
            raise wrong_type("tools", "a list of objects")
        for name, value in tool.items():
            if name not in _DECLARATIONS and value is not None:
                bound.opaque = True
                bound.unbounded = f"how often a hosted tool ({name[:64]}) runs, and reads, has no bound"
    _bound_members(body, _PLAIN_MEMBERS, bound)


def _note_files(content: dict[str, Any], route: Route) -> None:
    """The files in the provider's own keeping; an address elsewhere is anybody's."""
    parts = content.get("parts")
    for part in parts if type(parts) is list else [parts]:
        if type(part) is not dict:
            continue
        data = part.get("fileData", part.get("file_data"))
        uri = data.get("fileUri", data.get("file_uri")) if type(data) is dict else None
        id = _find_own_file(uri) if type(uri) is str else None
        if id is not None:
            _note(id, "contents", route)


def _find_own_file(uri: str) -> str | None:
    """`files/NAME` if the provider keeps it; None for an address elsewhere. What cannot be read is taken for its own."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError:
        return uri
    if host and host != _OWN_HOST and not host.endswith(f".{_OWN_HOST}"):
        return None
    _, found, name = unquote(parts.path).rpartition("files/")
    return f"files/{name}" if found else None


def _note(id: str, param: str, route: Route) -> None:
    route.kept = route.kept or Kept()
    route.kept.references.append(Reference(id, param, shareable=True))


def _bound_members(body: dict[str, Any], plain: frozenset[str], bound: InputBound) -> None:
    if body.keys() <= plain:
        return
    for name in body.keys() - plain:
        if body[name] is not None:
            bound.opaque = True
            bound.unbounded = f"{name[:64]} has no known price"


def _is_text(content: Any) -> bool:
    """Whether this content costs at most its own bytes."""
    if type(content) is not dict or not content.keys() <= _CONTENT_MEMBERS:
        return False
    parts = content.get("parts")
    if type(parts) is dict:
        parts = [parts]
    if type(parts) is not list:
        return False
    for part in parts:
        if type(part) is not dict or not part.keys() <= _TEXT_PARTS:
            return False
        answer = part.get("functionResponse", part.get("function_response"))
        if answer is not None and (type(answer) is not dict or not answer.keys() <= _FUNCTION_RESPONSE):
            return False  # it may carry files
    return True


def _read_object(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is None or type(value) is dict:
        return value
    raise wrong_type(name, "an object")
