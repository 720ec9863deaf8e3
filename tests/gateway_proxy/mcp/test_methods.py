"""Which methods there are in which era."""

import pytest

from gateway_proxy.mcp.errors import METHOD_NOT_FOUND, McpError
from gateway_proxy.mcp.methods import METHODS, find_method


def test_methods_of_each_era() -> None:
    assert (
        find_method("tools/call", modern=True).names
        == find_method("tools/call", modern=False).names
        == "name"
    )
    assert find_method("resources/read", modern=True).mirrored
    assert find_method("notifications/cancelled", modern=True, is_notification=True).is_notification
    mirrored = {name for name, method in METHODS.items() if method.mirrored}
    assert mirrored == {"tools/call", "prompts/get", "resources/read"}


@pytest.mark.parametrize(
    ("name", "modern", "is_notification"),
    [
        ("initialize", True, False), ("ping", True, False), ("resources/subscribe", True, False), ("tasks/get", False, False),
        ("server/discover", False, False), ("subscriptions/listen", False, False), ("Tools/call", True, False),
        ("tools/call", True, True), ("notifications/cancelled", True, False), ("notifications/initialized", True, True),
    ],
)  # fmt: skip
def test_what_is_not_offered_is_not_found(name: str, modern: bool, is_notification: bool) -> None:
    with pytest.raises(McpError) as caught:
        find_method(name, modern=modern, is_notification=is_notification)
    assert (caught.value.code, caught.value.status) == (METHOD_NOT_FOUND, 404 if modern else 200)
