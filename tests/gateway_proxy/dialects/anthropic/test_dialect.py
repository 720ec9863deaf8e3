"""dialect: what was parsed is what leaves."""

import orjson
import pytest

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import BadExchange, Forbidden
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.anthropic.tap import AnswerTap, StreamTap

DIALECT = AnthropicDialect()
BODY = b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"\\u00e4"}],"x":1}'


def test_the_body_leaves_as_it_was_judged() -> None:
    route = DIALECT.identify("messages", "/v1/messages", BODY, "application/json")
    sent, content_type, path = DIALECT.encode(route, Target("p", "m"), None, True)
    assert (sent, content_type, path) == (
        orjson.dumps(orjson.loads(BODY)),
        "application/json",
        "/v1/messages",
    )
    assert route.encoded == b"" and DIALECT.encode(route, Target("p", "m"), 7, True)[0] == sent
    other = orjson.loads(DIALECT.encode(route, Target("p", "other"), None, True)[0])
    assert other == {**orjson.loads(BODY), "model": "other"} and route.body["model"] == "m"


def test_repeated_members_leave_once() -> None:
    route = DIALECT.identify("messages", "/v1/messages", BODY[:-1] + b',"max_tokens":9}', "")
    assert route.max_output_tokens == 9
    assert DIALECT.encode(route, Target("p", "m"), None, True)[0].count(b"max_tokens") == 1


def test_other_paths_are_not_there() -> None:
    with pytest.raises(BadExchange) as caught:
        DIALECT.identify("messages", "/v1/messages/batches", BODY, "")
    assert caught.value.status == 404


def test_heads_and_taps() -> None:
    assert DIALECT.upstream_headers("k") == [("x-api-key", "k")] and DIALECT.upstream_headers(None) == []
    route = DIALECT.identify("messages", "/v1/messages", BODY, "")
    assert type(DIALECT.tap(route, True)) is StreamTap and type(DIALECT.tap(route, False)) is AnswerTap
    error = Forbidden("No.")
    assert DIALECT.error_body(error, "r") in DIALECT.error_event(error, "messages", "r")
