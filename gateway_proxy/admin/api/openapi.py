"""The OpenAPI 3.1 document, made from the table of operations. It holds no secret and is served to anybody."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway_proxy import __version__
from gateway_proxy.admin.api.operation import PREFIXES, Operation
from gateway_proxy.admin.api.shapes import Asked, ProblemAnswer

Schema = dict[str, Any]
_REF = "#/components/schemas/"
_PROBLEM = "application/problem+json"
_WHEN = {
    400: "The body is not readable JSON.",
    401: "No valid credential was sent.",
    403: "The role does not allow it.",
    404: "There is none of that id, or it belongs to others.",
    405: "The route answers other methods.",
    409: "It is in a state that does not allow it, or the first request with this `Idempotency-Key` still runs.",
    412: "`If-Match` does not name the revision that there is.",
    413: "The body is too large.",
    415: "The body is not sent as application/json.",
    422: "What was sent has mistakes; `errors` names each by its path.",
    429: "Asked too often.",
    500: "A fault of the gateway.",
    503: "The gateway or the store does not answer.",
}
_ALWAYS = (401, 403, 405, 422, 429, 500, 503)
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Only if the key is at this revision (its `ETag`), with or without quotes, or at one of a list of them.",
    "schema": {"type": "string", "maxLength": 200},
    "example": '"3"',
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text, new for each intent: repeated with the same body within 10 minutes it brings the same "
    "answer again, with `idempotent-replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def describe(operations: Sequence[Operation]) -> Schema:
    """The whole document."""
    models, components = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        methods = paths.setdefault(operation.path, {})
        methods[operation.method.lower()] = _describe(operation, models, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "gateway-proxy admin API",
            "version": __version__,
            "description": "Keys, usage and everything else that the dashboard shows. Money is sent as a string or a "
            "whole number and answered as a decimal string; times are RFC 3339 in UTC.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {f"Problem{status}": _problem(status) for status in _WHEN},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An admin token (gwa_…). A dashboard session does as well.",
                }
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> tuple[dict[type[BaseModel], Schema], dict[str, Schema]]:
    """A reference for each model, and the components that the references lead to."""
    used: dict[type[BaseModel], JsonSchemaMode] = {ProblemAnswer: "serialization"}
    for operation in operations:
        for model in (operation.query, operation.body, operation.answer):
            if model is not None:
                used[model] = "validation" if issubclass(model, Asked) else "serialization"
    references, document = models_json_schema(list(used.items()), ref_template=_REF + "{model}")
    components: dict[str, Schema] = document["$defs"]
    for model, mode in used.items():
        schema = components[references[model, mode]["$ref"].removeprefix(_REF)]
        schema.pop("title", None)
    return {model: references[model, mode] for model, mode in used.items()}, components


def _describe(
    operation: Operation, models: dict[type[BaseModel], Schema], components: dict[str, Schema]
) -> Schema:
    parameters = [_path_parameter(name) for name in operation.parameters]
    if operation.query is not None:
        schema = components[models[operation.query]["$ref"].removeprefix(_REF)]
        parameters += [
            _query_parameter(name, member, name in schema.get("required", ()))
            for name, member in schema["properties"].items()
        ]
    parameters += [_IF_MATCH] if operation.if_match else []
    parameters += [_IDEMPOTENCY_KEY] if operation.idempotent else []
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters,
        "responses": {str(operation.status): _success(operation, models)}
        | {
            str(status): {"$ref": f"#/components/responses/Problem{status}"}
            for status in _statuses(operation)
        },
    }
    if operation.body is not None:
        types = ["application/json"] + ["application/merge-patch+json"] * (operation.method == "PATCH")
        content = {content_type: {"schema": models[operation.body]} for content_type in types}
        described["requestBody"] = {"required": not operation.body_optional, "content": content}
    return described


def _statuses(operation: Operation) -> list[int]:
    statuses = set(_ALWAYS)
    statuses |= {404} if operation.parameters else set()
    statuses |= {400, 413, 415} if operation.body is not None else set()
    statuses |= {412} if operation.if_match else set()
    statuses |= {409} if operation.idempotent or operation.conflicts else set()
    return sorted(statuses)


def _success(operation: Operation, models: dict[type[BaseModel], Schema]) -> Schema:
    if operation.answer is None:
        return {"description": "Done."}
    answer: Schema = {
        "description": "Done." if operation.method != "GET" else "As it is.",
        "content": {"application/json": {"schema": models[operation.answer]}},
    }
    if operation.if_match or operation.name in ("getKey", "createKey"):
        answer["headers"] = {"ETag": {"description": "The revision.", "schema": {"type": "string"}}}
    return answer


def _path_parameter(name: str) -> Schema:
    schema: Schema = {"type": "string"}
    if name in PREFIXES:
        schema["pattern"] = f"^{PREFIXES[name]}_[0-9a-hjkmnp-tv-z]{{26}}$"
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(name: str, schema: Schema, required: bool) -> Schema:
    schema = dict(schema)
    schema.pop("title", None)
    # An absent parameter is how a query says null.
    choices = [choice for choice in schema.pop("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema |= choices[0]
    elif choices:
        schema["anyOf"] = choices
    if schema.get("default", "") is None:
        del schema["default"]
    parameter: Schema = {"name": name, "in": "query", "required": required}
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    return parameter | {"schema": schema}


def _problem(status: int) -> Schema:
    answer: Schema = {
        "description": _WHEN[status],
        "content": {_PROBLEM: {"schema": {"$ref": f"{_REF}{ProblemAnswer.__name__}"}}},
    }
    header = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After"}.get(status)
    if header:
        answer["headers"] = {header: {"schema": {"type": "string"}}}
    return answer
