"""generation: wrong shapes name their member; stored context belongs to nobody yet."""

from typing import Any

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.openai.generation import (
    understand_chat,
    understand_completions,
    understand_responses,
)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [1]}, "messages"),
        ({"n": 0}, "n"),
        ({"n": 2.0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_completion_tokens": 1e30}, "max_completion_tokens"),
        ({"stream": "true"}, "stream"),
        ({"stream_options": 1}, "stream_options"),
        ({"functions": {}}, "functions"),
    ],
)
def test_chat_names_the_member_at_fault(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        understand_chat({"messages": [], **members}, Route("chat", "", "m"))
    assert (caught.value.code, caught.value.param) == ("invalid_type", param)


@pytest.mark.parametrize(
    "content",
    [
        7,
        {"type": "text"},
        [None],
        [{"type": "image_url"}],
        [{"type": "text", "text": "a", "Type": "image_url"}],
        [{"type": ["text"]}],
        [{"text": "a"}],
        [{"type": "text", "text": "a"}, {"type": "new_kind"}],
    ],
)
def test_content_that_is_not_surely_text_is_opaque(content: object) -> None:
    route = Route("chat", "", "m")
    understand_chat({"messages": [{"role": "user", "content": content}]}, route)
    assert route.bound.opaque


@pytest.mark.parametrize("prompt", [{}, 1, [None], [{}], ["a", 1], [1, "a"], [1.5]])
def test_prompts_of_other_shapes(prompt: object) -> None:
    with pytest.raises(BadExchange) as caught:
        understand_completions({"prompt": prompt}, Route("completions", "", "m"))
    assert (caught.value.code, caught.value.param) == ("invalid_type", "prompt")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input"),
    ],
)
def test_stored_context_is_not_found(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        understand_responses(members, Route("responses", "", "m"))
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "response_not_found", param)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": ["a"]}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"background": 1}, "background"),
        ({"stream": 1}, "stream"),
    ],
)
def test_responses_name_the_member_at_fault(members: dict[str, Any], param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        understand_responses(members, Route("responses", "", "m"))
    assert (caught.value.code, caught.value.param) == ("invalid_type", param)


@pytest.mark.parametrize(
    "item", [{"type": "new_kind"}, {"type": 7}, {"role": "user", "content": "a", "x": 1}]
)
def test_items_of_unknown_kind_are_opaque(item: dict[str, Any]) -> None:
    route = Route("responses", "", "m")
    understand_responses({"input": [item]}, route)
    assert route.bound.opaque
