"""The dullest JSON value that satisfies a JSON Schema: "x", 1, true, [], nested objects with all their properties.

Follows `$ref` into the same document. Schemas that no such value satisfies (patterns, formats) do not belong here.
"""

from typing import Any

_MAX_DEPTH = 32


def answer_schema(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """A value for `schema`; None where it allows nothing else or is nested too deeply."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    if "$ref" in schema:
        return answer_schema(_resolve(str(schema["$ref"]), root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return answer_schema(schema[union][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: answer_schema(part, root, depth + 1) for name, part in properties.items()}
    if kind == "array":
        return [answer_schema(schema.get("items"), root, depth + 1)] * int(schema.get("minItems", 0))
    plain = {"string": "x", "integer": 1, "number": 1, "boolean": True}
    return plain.get(str(kind))


def _resolve(reference: str, root: Any) -> Any:
    value = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            value = value.get(step) if isinstance(value, dict) else None
    return value
