"""The data plane's route table: which path is which operation of which dialect, and what dispatches upstream.

Paths are compared as they came, byte for byte: what is decided here is what is executed.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import NamedTuple

OPERATIONS: dict[str, str] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images",
    "/v1/images/edits": "images",
    "/v1/images/variations": "images",
    "/v1/audio/speech": "audio",
    "/v1/audio/transcriptions": "audio",
    "/v1/audio/translations": "audio",
    "/v1/rerank": "rerank",
}
"""Of the OpenAI dialect: these paths need no further look."""

_MESSAGES = ("/v1/messages", "/v1/messages/count_tokens")
_GEMINI_METHODS = frozenset(
    ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
)
_GEMINI_MODELS = ("/v1beta/models/", "/v1/models/")
_DEPLOYMENTS = "/openai/deployments/"
_STORED = "/v1/responses/"
_STORED_METHODS = {"": "GET, DELETE", "cancel": "POST", "input_items": "GET"}
# What of a query goes up; percent signs and brackets stay as they were sent.
_STORED_QUERY = frozenset(
    (
        "include", "include[]", "include%5B%5D", "stream", "starting_after", "include_obfuscation", "after", "before",
        "limit", "order",
    )
)  # fmt: skip
_MCP = "/mcp"
_MCP_METHODS = "POST, GET, DELETE"
EVENT_STREAM = "?alt=sse"
"""What stays of a query: Gemini's stream is an array of JSON without it."""


class Target(NamedTuple):
    """What a request's target means. `operation` is "" where nothing dispatches upstream; `methods` are parted by ", ",
    and "" where a POST would ask a model, in Gemini's way (`/models/{model}:{action}`), for what no model does.

    `path` is without the query, but for Gemini's `alt=sse` and what is asked of a stored response; an Azure path that names no deployment is OpenAI's.
    """

    path: str
    operation: str
    dialect: str
    methods: str = "POST"


def read_target(target: str, header_names: Container[str]) -> Target:
    """The meaning of a target that is none of `OPERATIONS` as it stands."""
    path, _, query = target.partition("?")
    operation = OPERATIONS.get(path)
    if operation is not None:
        return Target(path, operation, "openai")
    if path in _MESSAGES:
        return Target(path, "messages", "anthropic")
    if path.startswith(_STORED):
        return _read_stored(path, query)
    if path.startswith(_GEMINI_MODELS):
        model, _, method = path.rpartition(":")
        if method in _GEMINI_METHODS and model not in ("/v1beta/models/", "/v1/models/"):
            if method == "streamGenerateContent" and "alt=sse" in query.split("&"):
                path += EVENT_STREAM
            return Target(path, "gemini", "gemini")
    elif path.startswith("/openai/"):
        return _read_azure(path, query)
    elif path == _MCP or (path.startswith(f"{_MCP}/") and path.count("/") == 2 and not path.endswith("/")):
        return Target(path, "mcp", "mcp", _MCP_METHODS)
    return _stay_here(path, _guess_dialect(path, header_names))


def _stay_here(path: str, dialect: str) -> Target:
    """A path that the gateway itself answers, or nobody."""
    asks_model = ":" in path and path.startswith(_GEMINI_MODELS)
    return Target(path, "", dialect, "" if asks_model else "POST")


def _read_stored(path: str, query: str) -> Target:
    """A response that a provider keeps: the path decides what may be done with it."""
    id, _, what = path.removeprefix(_STORED).partition("/")
    methods = _STORED_METHODS.get(what, "")
    if not id or not methods:
        return Target(path, "", "openai")
    asked = "&".join(part for part in query.split("&") if part.partition("=")[0] in _STORED_QUERY)
    return Target(f"{path}?{asked}" if asked else path, "responses", "openai", methods)


def _read_azure(path: str, query: str) -> Target:
    if not path.startswith(_DEPLOYMENTS):
        plain = path.removeprefix("/openai")
        if not plain.startswith("/v1/"):
            plain = "/v1" + plain
        if plain.startswith(_STORED):
            return _read_stored(plain, query)
        operation = OPERATIONS.get(plain)
        return Target(plain, operation, "openai") if operation else _stay_here(plain, "openai")
    model, endpoint = split_deployment(path)
    return Target(path, OPERATIONS.get(f"/v1{endpoint}", "") if model else "", "azure")


def split_deployment(path: str) -> tuple[str, str]:
    """(deployment, endpoint) of Azure's `/openai/deployments/…`; the endpoint as OpenAI has it, without `/v1`."""
    below = path.removeprefix(_DEPLOYMENTS)
    for parts in (2, 1):
        pieces = below.rsplit("/", parts)
        endpoint = "/" + "/".join(pieces[1:])
        if len(pieces) == parts + 1 and f"/v1{endpoint}" in OPERATIONS:
            return pieces[0], endpoint
    return "", ""


def _guess_dialect(path: str, header_names: Container[str]) -> str:
    """Whose words a client wants that asks for models, or for what is not here."""
    if path.startswith("/v1beta") or "x-goog-api-key" in header_names:
        return "gemini"
    if path.startswith("/v1/messages/") or "anthropic-version" in header_names:
        return "anthropic"
    return "openai"


@dataclass(frozen=True, slots=True)
class DataRoute:
    """One path of the data plane. `operation` is set exactly where the route dispatches upstream."""

    path: str
    method: str
    operation: str | None = None
    dialect: str = "openai"


def list_routes() -> tuple[DataRoute, ...]:
    """Every route of the data plane, for the tests that hold them all to the pipeline."""
    dispatching = [DataRoute(path, "POST", operation) for path, operation in OPERATIONS.items()]
    dispatching += [DataRoute(path, "POST", "messages", "anthropic") for path in _MESSAGES]
    dispatching += [
        DataRoute(f"{models}{{model}}:{method}", "POST", "gemini", "gemini")
        for models in _GEMINI_MODELS
        for method in sorted(_GEMINI_METHODS)
    ]
    dispatching += [
        DataRoute(f"{_STORED}{{id}}{'/' if what else ''}{what}", method, "responses")
        for what, methods in _STORED_METHODS.items()
        for method in methods.split(", ")
    ]
    dispatching.append(DataRoute(f"{_DEPLOYMENTS}{{model}}/chat/completions", "POST", "chat", "azure"))
    dispatching += [DataRoute(path, "POST", "mcp", "mcp") for path in (_MCP, f"{_MCP}/{{server}}")]
    own = [
        DataRoute(path, "GET")
        for path in (
            "/v1/models", "/v1/models/{id}", "/v1beta/models", "/v1beta/models/{id}", "/v1/key", "/healthz", "/readyz",
        )
    ]  # fmt: skip
    own.append(DataRoute("/v1/key/ephemeral", "POST"))
    return (*dispatching, *own)
