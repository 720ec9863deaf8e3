"""The table: operations are found by method and path, with their ids."""

import pytest

from gateway_proxy.admin.api.table import OPERATIONS, find_operation


def test_every_operation_is_found() -> None:
    for operation in OPERATIONS:
        path = operation.path
        for name in operation.parameters:
            path = path.replace(f"{{{name}}}", f"x-{name}")
        found = find_operation(operation.method, path)
        assert found is not None
        assert found[0] is operation
        assert found[1] == {name: f"x-{name}" for name in operation.parameters}


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/keys"), ("GET", "/keys/"), ("GET", "/keys/a/b"), ("GET", "")]
)
def test_others_are_not(method: str, path: str) -> None:
    assert find_operation(method, path) is None
