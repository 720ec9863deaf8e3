"""generation: wrong shapes name their member; stored context belongs to nobody yet."""

from typing import Any

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.kept import Kept
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


def kept_of(members: dict[str, Any]) -> Kept:
    route = Route("responses", "", "m")
    understand_responses(members, route)
    assert route.kept is not None and (not route.kept.references or route.bound.opaque)
    return route.kept


@pytest.mark.parametrize(
    ("members", "references"),
    [
        ({"previous_response_id": "resp_1"}, [("resp_1", "previous_response_id", False, False)]),
        ({"conversation": "conv_1"}, [("conv_1", "conversation", False, True)]),
        ({"conversation": {"id": "conv_1"}}, [("conv_1", "conversation", False, True)]),
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, [("pmpt_1", "prompt", False, True)]),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, [("msg_1", "input", False, False)]),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, [("rs_1", "input", True, False)]),
        ({"input": [{"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}]}, []),
        ({"input": [{"type": "message", "id": "msg_1", "role": "user", "content": "hi"}]}, []),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
            [("file-1", "input", False, True)],
        ),
        (
            {"input": [{"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"}]},
            [("ci_1", "input", True, False), ("cntr_1", "input", True, True)],
        ),
        (
            {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]},
            [("vs_1", "tools", False, True), ("vs_2", "tools", False, True)],
        ),
        (
            {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
            [("cntr_1", "tools", False, True)],
        ),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
            [("file-1", "tools", False, True)],
        ),
        ({"tools": [{"type": "function", "name": "f", "parameters": {"file_id": "no id"}}]}, []),
        ({"input": "hi"}, []),
    ],
)
def test_ids_of_kept_things_are_seen(members: dict[str, Any], references: list[tuple[Any, ...]]) -> None:
    if "tools" in members and references:  # hosted tools have no bound, and need none to be refused
        route = Route("responses", "", "m")
        understand_responses(members, route)
        assert route.kept is not None and route.bound.unbounded is not None
        assert route.kept.references == references
    else:
        assert kept_of(members).references == references


@pytest.mark.parametrize(
    ("members", "keeps", "demand"),
    [
        ({}, True, ""),
        ({"store": None}, True, ""),
        ({"store": False}, False, ""),
        ({"store": True}, True, "store"),
        ({"background": True}, True, "background"),
    ],
)
def test_what_is_to_be_stored(members: dict[str, Any], keeps: bool, demand: str) -> None:
    kept = kept_of(members)
    assert (kept.keeps, kept.demand) == (keeps, demand)


@pytest.mark.parametrize(
    ("members", "references", "demand"),
    [
        ({"store": False}, None, ""),
        ({"store": True}, [], "store"),
        ({"modalities": ["text", "audio"]}, [], ""),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, ["audio_1"], ""),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
            ["file-1"],
            "",
        ),
    ],
)
def test_what_chats_have_kept(members: dict[str, Any], references: list[str] | None, demand: str) -> None:
    route = Route("chat", "", "m")
    understand_chat({"messages": [], **members}, route)
    if references is None:
        assert route.kept is None
    else:
        assert route.kept is not None and route.kept.demand == demand
        assert [reference.id for reference in route.kept.references] == references


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": ["a"]}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"background": 1}, "background"),
        ({"stream": 1}, "stream"),
        ({"store": "yes"}, "store"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"conversation": {}}, "conversation"),
        ({"prompt": 7}, "prompt"),
        ({"request_id": "resp_mine"}, "request_id"),
        ({"input": [{"type": "item_reference"}]}, "input"),
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
