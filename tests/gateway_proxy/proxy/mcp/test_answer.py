"""What servers send, as messages."""

import pytest

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp.answer import parse_messages


def test_one_message_and_a_batch() -> None:
    (one,) = parse_messages(b'{"jsonrpc":"2.0","id":1,"result":{}}')
    assert (one.kind, one.id) == ("response", 1)
    assert (
        len(list(parse_messages(b'[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":1,"result":{}}]')))
        == 2
    )


def test_what_servers_write_although_they_should_not() -> None:
    (error,) = parse_messages(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}')
    assert error.kind == "response" and error.id is None
    (note,) = parse_messages(b'{"jsonrpc":"2.0","method":"notifications/x","params":null}')
    assert note.kind == "notification" and note.params is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"3", b'{"id":1,"result":{}}', b'{"jsonrpc":"2.0","id":1}'])
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        parse_messages(body)
    assert caught.value.code == "upstream_broken"
