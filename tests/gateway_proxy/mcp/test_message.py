"""Messages: what is one, what is none, and that nothing can be read in two ways."""

import json
from typing import Any

import pytest

from gateway_proxy.mcp.errors import INVALID_REQUEST, PARSE_ERROR, McpError
from gateway_proxy.mcp.message import MAX_BATCH, error_answer, parse_post, result_answer, write_json

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a", "arguments": {"Name": 1}}}


def parse(value: Any) -> Any:
    return parse_post(json.dumps(value).encode())


def test_each_kind_of_message() -> None:
    for value, kind in (
        (CALL, "request"), ({**CALL, "id": "x"}, "request"), ({"jsonrpc": "2.0", "id": 0, "method": "ping"}, "request"),
        ({"jsonrpc": "2.0", "method": "notifications/initialized"}, "notification"),
        ({"jsonrpc": "2.0", "id": 7, "result": {}}, "response"),
        ({"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "m"}}, "response"),
    ):  # fmt: skip
        (message,) = parse(value).messages
        assert message.kind == kind and message.value() == value


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":NaN}', b"[" * 200 + b"]" * 200])
def test_no_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(McpError) as caught:
        parse_post(body)
    assert (caught.value.code, caught.value.status) == (PARSE_ERROR, 400)


@pytest.mark.parametrize(
    "value",
    [
        1, "x", None, [], [1], [[]], {}, [CALL] * (MAX_BATCH + 1), {**CALL, "jsonrpc": "1.0"}, {**CALL, "id": None},
        {**CALL, "id": True}, {**CALL, "id": 1.5}, {**CALL, "method": ""}, {**CALL, "method": 1}, {**CALL, "params": []},
        {**CALL, "params": None}, {**CALL, "result": {}}, {"jsonrpc": "2.0", "id": 1}, {"jsonrpc": "2.0", "result": {}},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}}, {"jsonrpc": "2.0", "id": 1, "result": 3},
        {**CALL, "params": {"name": "a", "Name": "b"}}, {**CALL, "params": {"URI": "b"}},
        {**CALL, "params": {"ref": {"type": "ref/prompt", "name": "a", "NAME": "b"}}},
        {**CALL, "params": {"notifications": {"ToolsListChanged": True}}},
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused(value: Any) -> None:
    with pytest.raises(McpError) as caught:
        parse(value)
    assert (caught.value.code, caught.value.status) == (INVALID_REQUEST, 400)


def test_members_that_another_reader_might_take_do_not_leave() -> None:
    (message,) = parse({**CALL, "Method": "tools/list", "extra": 1}).messages
    assert message.value() == CALL


def test_a_batch_is_told_from_one_message() -> None:
    assert not parse(CALL).is_batch and parse([CALL]).is_batch
    assert len(parse([CALL, {"jsonrpc": "2.0", "method": "notifications/cancelled"}]).messages) == 2


def test_answers() -> None:
    assert write_json(result_answer("a", {"x": 1})) == b'{"jsonrpc":"2.0","id":"a","result":{"x":1}}'
    assert error_answer(0, McpError(-32602, "m", data={"d": 1})) == {
        "jsonrpc": "2.0", "id": 0, "error": {"code": -32602, "message": "m", "data": {"d": 1}},
    }  # fmt: skip
    assert "id" not in error_answer(None, McpError(-32700, "m"))
