"""Mirrored headers: checked against the body, and made anew."""

import pytest

from gateway_proxy.mcp.errors import HEADER_MISMATCH, McpError
from gateway_proxy.mcp.message import Message
from gateway_proxy.mcp.mirrored import (
    check_mirrored,
    decode_value,
    encode_value,
    mirror,
    mirror_arguments,
    passed_on,
)

CALL = Message("request", 1, "tools/call", {"name": "grün"})
READ = Message("request", 1, "resources/read", {"uri": "file:///a"})
NOTE = Message("notification", None, "notifications/cancelled")


@pytest.mark.parametrize(
    "value", ["a", "us-west1", "a b", "", " a", "a ", "grün", "a\nb", "=?base64?literal?=", "\x7f"]
)
def test_values_come_back(value: str) -> None:
    encoded = encode_value(value)
    assert encoded.isascii() and "\n" not in encoded and decode_value(encoded) == value


def test_the_specification_s_own_examples() -> None:
    assert encode_value("Hello, 世界") == "=?base64?SGVsbG8sIOS4lueVjA==?="
    assert encode_value(" padded ") == "=?base64?IHBhZGRlZCA=?="
    assert encode_value("=?base64?literal?=") == "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="


@pytest.mark.parametrize("message", [CALL, READ, NOTE, Message("request", 1, "tools/list")])
def test_headers_that_we_make_pass_our_own_check(message: Message) -> None:
    headers = {name.lower(): value for name, value in mirror(message, "2026-07-28").items()}
    check_mirrored(message, headers, modern=True)


@pytest.mark.parametrize(
    ("message", "headers", "modern"),
    [
        (CALL, {}, True), (CALL, {"mcp-method": "tools/call"}, True), (CALL, {"mcp-method": "tools/list"}, False),
        (READ, {"mcp-method": "resources/read", "mcp-name": "file:///b"}, True), (READ, {"mcp-name": "x"}, False),
        (READ, {"mcp-method": "resources/read, tools/call", "mcp-name": "file:///a"}, True),
        (CALL, {"mcp-method": "tools/call", "mcp-name": "=?base64?!?="}, True),
        (CALL, {"mcp-method": "tools/call", "mcp-name": "=?base64?/w==?="}, True), (NOTE, {"mcp-method": "x"}, True),
    ],
)  # fmt: skip
def test_a_header_that_says_otherwise_refuses(
    message: Message, headers: dict[str, str], modern: bool
) -> None:
    with pytest.raises(McpError) as caught:
        check_mirrored(message, headers, modern=modern)
    assert (caught.value.code, caught.value.status) == (HEADER_MISMATCH, 400)


def test_what_is_not_required() -> None:
    check_mirrored(CALL, {}, modern=False)
    check_mirrored(NOTE, {}, modern=True)
    sent = {"mcp-param-region": "eu", "Mcp-Param-Zone": "1", "authorization": "x", "mcp-name": "n"}
    assert passed_on(sent) == {"mcp-param-region": "eu", "Mcp-Param-Zone": "1"}


def test_arguments_for_a_client_that_repeats_none() -> None:
    inner = {"properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}}
    schema = {
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"}, "count": {"type": "integer", "x-mcp-header": "Count"},
            "dry": {"type": "boolean", "x-mcp-header": "Dry"}, "at": inner, "plain": {"type": "string"},
            "gone": {"x-mcp-header": "Gone"}, "odd": {"x-mcp-header": "Odd\r\nX"}, "list": {"x-mcp-header": "List"},
        }
    }  # fmt: skip
    arguments = {
        "region": "grün", "count": 3, "dry": True, "at": {"zone": "a"}, "plain": "p", "gone": None, "odd": "o", "list": [1],
    }  # fmt: skip
    assert mirror_arguments(schema, arguments) == {
        "mcp-param-region": "=?base64?Z3LDvG4=?=", "mcp-param-count": "3", "mcp-param-dry": "true", "mcp-param-zone": "a",
    }  # fmt: skip
    for garbled in (None, [], {"properties": [1]}, {"properties": {"region": 1}}):
        assert mirror_arguments(garbled, arguments) == {} == mirror_arguments(schema, garbled)
