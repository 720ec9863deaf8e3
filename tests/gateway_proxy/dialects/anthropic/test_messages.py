"""messages: what bounds a request and what leaves it without a bound."""

from typing import Any

import orjson
import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.members import TOKENS_PER_MESSAGE, TOKENS_WITH_TOOLS

HELLO = [{"role": "user", "content": "hello"}]
BODY: dict[str, Any] = {"model": "m", "max_tokens": 100, "messages": HELLO}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
TOOL = {"name": "look_up", "description": "d", "input_schema": {"type": "object"}}


def identify(path: str = "/v1/messages", **members: Any) -> Route:
    body = orjson.dumps({**BODY, **members})
    return AnthropicDialect().identify("messages", path, body, "application/json")


def say(*blocks: Any) -> list[Any]:
    return [{"role": "user", "content": list(blocks)}]


def test_text_is_bounded_by_its_bytes() -> None:
    route = identify(system="be brief", stream=True, temperature=1, top_k=5, service_tier="auto")
    assert route.body_bytes == len(orjson.dumps(route.body))
    assert route.bound.tokens == route.body_bytes + 2 * TOKENS_PER_MESSAGE
    assert (route.bound.opaque, route.bound.unbounded, route.bound.units) == (False, None, None)
    assert (route.max_output_tokens, route.wants_output_cap, route.choices) == (100, True, 1)
    assert (route.stream, route.service_tier, route.free) == (True, "auto", False)


@pytest.mark.parametrize(
    "messages",
    [
        say({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        say({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}], "is_error": True}),
        [*HELLO, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]}],
        [*HELLO, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {"a": [1]}}]}],
    ],
)  # fmt: skip
def test_blocks_of_text(messages: list[Any]) -> None:
    route = identify(messages=messages)
    assert not route.bound.opaque and route.bound.unbounded is None


@pytest.mark.parametrize(
    "messages",
    [
        say(IMAGE),
        say({"type": "document", "source": {"type": "file", "file_id": "f"}}),
        say({"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}),
        say({"type": "text", "text": "x", "new": 1}),
        say({"type": ["text"], "text": "x"}),
        say("x"),
        [{"role": "user", "content": "x", "new": 1}],
        [{"role": "user", "content": {"type": "text"}}],
    ],
)
def test_anything_else_is_opaque(messages: list[Any]) -> None:
    assert identify(messages=messages).bound.opaque
    assert identify(system=messages[0]["content"]).bound.opaque or messages[0].get("new")


@pytest.mark.parametrize(
    ("tool", "more"),
    [
        (TOOL, 0),
        ({**TOOL, "type": "custom", "strict": True}, 0),
        ({"type": "bash_20250124", "name": "bash"}, 2),
    ],
)
def test_the_clients_own_tools_cost_tokens(tool: dict[str, Any], more: int) -> None:
    route = identify(tools=[tool])
    tokens = route.body_bytes + 2 * TOKENS_PER_MESSAGE + (1 + more) * TOKENS_WITH_TOOLS
    assert (route.bound.tokens, route.bound.opaque, route.bound.unbounded) == (tokens, False, None)


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        {"tools": [{"type": 3}]},
        {"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]},
        {"speed": "fast"},
        {"inference_geo": "us"},
        {"container": {"skills": []}},
        {"context_management": {"edits": []}},
        {"something_new": 1},
    ],
)
def test_what_has_no_bound(members: dict[str, Any]) -> None:
    assert identify(**members).bound.unbounded is not None


@pytest.mark.parametrize(
    "members", [{"speed": "standard"}, {"inference_geo": None}, {"something_new": None}, {"container": None}]
)
def test_what_says_nothing_costs_nothing(members: dict[str, Any]) -> None:
    assert identify(**members).bound.unbounded is None


def test_unknown_client_tools_are_opaque() -> None:
    assert identify(tools=[{**TOOL, "new": 1}]).bound.opaque
    bound = identify(tools=[{"type": "computer_toolset_20260801"}]).bound
    assert bound.opaque and bound.unbounded is None


def test_thinking_within_the_maximum_and_beyond_it() -> None:
    assert identify(thinking={"type": "enabled", "budget_tokens": 99}).max_output_tokens == 100
    assert identify(thinking={"type": "enabled", "budget_tokens": 2000}).max_output_tokens == 2100
    assert identify(thinking={"type": "adaptive"}, max_tokens=0).max_output_tokens == 0


@pytest.mark.parametrize(
    ("members", "status", "code", "param"),
    [
        ({"max_tokens": None}, 400, "invalid_type", "max_tokens"),
        ({"max_tokens": 1.5}, 400, "invalid_type", "max_tokens"),
        ({"max_tokens": -1}, 400, "invalid_type", "max_tokens"),
        ({"messages": "hi"}, 400, "invalid_type", "messages"),
        ({"messages": ["hi"]}, 400, "invalid_type", "messages"),
        ({"tools": ["t"]}, 400, "invalid_type", "tools"),
        ({"stream": "yes"}, 400, "invalid_type", "stream"),
        ({"model": ""}, 400, "model_missing", "model"),
        ({"fallbacks": [{"model": "x"}]}, 400, "invalid_type", "fallbacks"),
        ({"content_policy_fallbacks": [{"a": ["b"]}]}, 400, "invalid_type", "content_policy_fallbacks"),
        ({"workspace_id": "w"}, 400, "invalid_type", "workspace_id"),
        ({"container": "c_1"}, 404, "response_not_found", "container"),
        ({"container": {"id": "c_1"}}, 404, "response_not_found", "container"),
        ({"thread": {"type": "new"}}, 404, "response_not_found", "thread"),
        ({"diagnostics": {"previous_message_id": "msg_1"}}, 404, "response_not_found", "diagnostics"),
        ({"Max_Tokens": 5}, 400, "invalid_json", "max_tokens"),
        ({"maxTokens": 5}, 400, "invalid_json", "max_tokens"),
        ({"thinking": {"budget_tokens": "x"}}, 400, "invalid_type", "budget_tokens"),
    ],
)  # fmt: skip
def test_what_is_refused(members: dict[str, Any], status: int, code: str, param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        identify(**members)
    assert (caught.value.status, caught.value.code, caught.value.param) == (status, code, param)


def test_a_token_count_wants_no_maximum_and_costs_nothing() -> None:
    route = identify("/v1/messages/count_tokens", max_tokens=None)
    assert route.free and not route.wants_output_cap and route.max_output_tokens == 0


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ([{"type": "document", "source": {"type": "file", "file_id": "f_1"}}], ["f_1"]),
        ([{"type": "container_upload", "file_id": "f_1"}], ["f_1"]),
        (
            [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"file_id": "f_1"}}]}],
            ["f_1"],
        ),
        ([{"type": "code_execution_tool_result", "content": {"content": [{"file_id": "made"}]}}], []),
        ([IMAGE], []),
        ("text", []),
    ],
)  # fmt: skip
def test_ids_of_files_are_seen(content: Any, ids: list[str]) -> None:
    kept = identify(
        messages=say(content) if type(content) is dict else [{"role": "user", "content": content}]
    ).kept
    assert [reference.id for reference in kept.references] == ids if kept is not None else not ids
