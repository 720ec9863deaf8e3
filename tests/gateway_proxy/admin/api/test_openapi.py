"""The description: valid OpenAPI 3.1, complete, and true to the table."""

import json
from typing import Any

import pytest

from gateway_proxy.admin.api.openapi import describe
from gateway_proxy.admin.api.table import OPERATIONS

DOCUMENT = describe(OPERATIONS)


def described() -> list[tuple[str, str, dict[str, Any]]]:
    return [(m.upper(), path, o) for path, methods in DOCUMENT["paths"].items() for m, o in methods.items()]


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_operation_is_described_once() -> None:
    assert {(m, p) for m, p, _ in described()} == {(o.method, o.path) for o in OPERATIONS}
    names = [o.name for o in OPERATIONS]
    assert len(names) == len(set(names))
    assert DOCUMENT["openapi"].startswith("3.1.")


def test_every_reference_leads_somewhere() -> None:
    found = references(DOCUMENT)
    assert len(found) > 20
    for reference in found:
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
        assert node


@pytest.mark.slow
def test_every_schema_is_a_json_schema() -> None:
    from jsonschema import Draft202012Validator

    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("method", "path", "operation"), described())
def test_every_operation_says_how_it_may_end(method: str, path: str, operation: dict[str, Any]) -> None:
    statuses = set(operation["responses"])
    assert {"401", "403", "422"} <= statuses
    assert ("404" in statuses) == ("{" in path)
    assert ("415" in statuses) == ("requestBody" in operation)
    headers = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
    assert ("412" in statuses) == ("If-Match" in headers)
    assert ("Idempotency-Key" in headers) == (
        operation["operationId"] in ("createKey", "rotateKey", "mintToken", "createToken")
    )
    assert operation["summary"]


def test_no_query_parameter_takes_null() -> None:
    for _, _, operation in described():
        for parameter in operation["parameters"]:
            assert '"null"' not in json.dumps(parameter["schema"]), parameter


def test_it_holds_no_secret_and_no_host() -> None:
    text = json.dumps(DOCUMENT)
    assert DOCUMENT["servers"] == [{"url": "/api/v1"}]
    assert "localhost" not in text
