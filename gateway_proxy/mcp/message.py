"""JSON-RPC messages: read from a body so that the next reader can only read the same, and written.

Promises: a message holds the members that JSON-RPC defines and no other; its params are an object in which no
member can be taken for one that policy reads. What a method means belongs to `methods.py`.
Sources: JSON-RPC 2.0; MCP 2026-07-28, basic/index (an id is a string or an integer, params an object). Batches
exist in 2025-03-26 only.
"""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.strict_json import parse_document, refuse_variants
from gateway_proxy.mcp.errors import INVALID_REQUEST, PARSE_ERROR, McpError

MAX_BATCH = 64
_PARAMS = frozenset(
    (
        "name", "uri", "arguments", "ref", "notifications", "cursor", "argument", "protocolVersion", "capabilities", "_meta",
        "requestId", "inputResponses", "requestState",
    )
)  # fmt: skip
_REFERENCE = frozenset(("type", "name", "uri"))
_SUBSCRIPTION = frozenset(
    ("toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions")
)

Kind = Literal["request", "notification", "response"]
Id = str | int


@dataclass(frozen=True, slots=True)
class Message:
    """One message. A response has no method; `outcome` is its result or error, whole."""

    kind: Kind
    id: Id | None = None
    method: str = ""
    params: dict[str, Any] | None = None
    outcome: dict[str, Any] | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """The `_meta` of the params; empty without."""
        meta = (self.params or {}).get("_meta")
        return meta if isinstance(meta, dict) else {}

    def value(self) -> dict[str, Any]:
        """The JSON value that says exactly this message."""
        value: dict[str, Any] = {"jsonrpc": "2.0"}
        if self.id is not None:
            value["id"] = self.id
        if self.method:
            value["method"] = self.method
        if self.params is not None:
            value["params"] = self.params
        return value | (self.outcome or {})


@dataclass(frozen=True, slots=True)
class Post:
    """What one POST carries; `is_batch` tells one message from an array of one."""

    messages: tuple[Message, ...]
    is_batch: bool = False


def parse_post(body: bytes) -> Post:
    """The message or batch of a body. Raises McpError (400): -32700 for no JSON, -32600 for no message."""
    try:
        value = parse_document(body)
    except BadExchange as error:
        raise McpError(PARSE_ERROR, f"Parse error: {error.public}", status=400) from None
    if not isinstance(value, list):
        return Post((parse_message(value),))
    if not 0 < len(value) <= MAX_BATCH:
        raise _invalid(f"a batch must hold 1 to {MAX_BATCH} messages")
    return Post(tuple(parse_message(item) for item in value), is_batch=True)


def parse_message(value: Any) -> Message:
    """The message that a JSON value is. Raises McpError (-32600, 400)."""
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise _invalid('a message must be an object with "jsonrpc": "2.0"')
    given = value.get("id")
    if "id" in value and (isinstance(given, bool) or not isinstance(given, str | int)):
        raise _invalid("the id must be a string or an integer")
    if "method" not in value:
        return _parse_response(value, given)
    method, params = value["method"], value.get("params")
    if not isinstance(method, str) or not method:
        raise _invalid("the method must be a non-empty string")
    if "result" in value or "error" in value:
        raise _invalid("a message with a method has no result and no error")
    if "params" in value:
        _check_params(params)
    return Message("request" if "id" in value else "notification", given, method, params)


def _parse_response(value: dict[str, Any], given: Id | None) -> Message:
    members = [name for name in ("result", "error") if name in value]
    if len(members) != 1 or (given is None and members != ["error"]):
        raise _invalid("a message must have a method, or an id and either a result or an error")
    outcome = value[members[0]]
    if not isinstance(outcome, dict):
        raise _invalid(f"the {members[0]} must be an object")
    return Message("response", given, outcome={members[0]: outcome})


def _check_params(params: Any) -> None:
    if not isinstance(params, dict):
        raise _invalid("the params must be an object")
    try:
        refuse_variants(params, _PARAMS, "params.")
        for name, members in (("ref", _REFERENCE), ("notifications", _SUBSCRIPTION)):
            if isinstance(params.get(name), dict):
                refuse_variants(params[name], members, f"params.{name}.")
    except BadExchange as error:
        raise _invalid(error.public) from None


def _invalid(why: str) -> McpError:
    return McpError(INVALID_REQUEST, f"Invalid request: {why}", status=400)


def result_answer(id: Id, result: dict[str, Any]) -> dict[str, Any]:
    """The response that carries a result."""
    return {"jsonrpc": "2.0", "id": id, "result": result}


def error_answer(id: Id | None, error: McpError) -> dict[str, Any]:
    """The response that carries an error; without an id where none could be read."""
    answer: dict[str, Any] = {"jsonrpc": "2.0"}
    if id is not None:
        answer["id"] = id
    return answer | {"error": error.body()}


def write_json(value: Any) -> bytes:
    """UTF-8 JSON without blanks."""
    return orjson.dumps(value)
