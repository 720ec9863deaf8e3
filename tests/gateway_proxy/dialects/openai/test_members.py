"""members: what policy reads at the top of a body, and the refusals that name the member."""

from typing import Any

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import InputBound
from gateway_proxy.dialects.openai import members


def code_and_param(error: pytest.ExceptionInfo[BadExchange]) -> tuple[int, str, str | None]:
    return error.value.status, error.value.code, error.value.param


@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}])
def test_model_missing(body: dict[str, Any]) -> None:
    with pytest.raises(BadExchange) as caught:
        members.read_model(body)
    assert code_and_param(caught) == (400, "model_missing", "model")


@pytest.mark.parametrize("model", [1, ["a"], {"a": 1}, True, False, 0])
def test_model_must_be_text(model: object) -> None:
    with pytest.raises(BadExchange) as caught:
        members.read_model({"model": model})
    assert code_and_param(caught) == (400, "invalid_type", "model")


def test_the_name_is_taken_code_point_by_code_point() -> None:
    for name in ("gpt-4o ", "GPT-4o", "gpt‑4o", "e\u0301"):
        assert members.read_model({"model": name}) == name


@pytest.mark.parametrize("name", ["models", "fallbacks", "route", "model_list", "context_window_fallbacks"])
def test_lists_of_models_are_refused(name: str) -> None:
    with pytest.raises(BadExchange) as caught:
        members.read_model({"model": "a", name: ["b"]})
    assert code_and_param(caught) == (400, "invalid_type", name)


@pytest.mark.parametrize(
    ("options", "code", "param"),
    [
        ([], "invalid_type", "stream_options"),
        ("x", "invalid_type", "stream_options"),
        ({"include_usage": 1}, "invalid_type", "stream_options.include_usage"),
        ({"Include_Usage": False}, "invalid_json", "stream_options.include_usage"),
    ],
)
def test_stream_options(options: object, code: str, param: str) -> None:
    with pytest.raises(BadExchange) as caught:
        members.read_stream_options({"stream_options": options})
    assert code_and_param(caught) == (400, code, param)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_search"},
        {"function": {"name": "f"}},
        {"type": "Function"},
        {"type": ["function"]},
        {"type": "function", "function": {"name": "f"}, "Type": "web_search"},
        {},
    ],
)
def test_a_tool_that_is_not_surely_the_clients_own_has_no_bound(tool: dict[str, Any]) -> None:
    bound = InputBound()
    members.bound_tools({"tools": [tool]}, bound)
    assert bound.unbounded is not None
    assert bound.tokens == 1024


@pytest.mark.parametrize("tools", [{}, "x", [1], [None]])
def test_tools_must_be_objects_in_a_list(tools: object) -> None:
    with pytest.raises(BadExchange) as caught:
        members.bound_tools({"tools": tools}, InputBound())
    assert code_and_param(caught) == (400, "invalid_type", "tools")


@pytest.mark.parametrize(
    ("name", "value", "unbounded"),
    [
        ("web_search_options", {}, True),
        ("web_search_options", {"search_context_size": "low"}, True),
        ("search_parameters", {}, True),
        ("plugins", [{"id": "web"}], True),
        ("plugins", [], False),
        ("enable_search", True, True),
        ("enable_search", False, False),
        ("web_search_options", None, False),
    ],
)
def test_a_search_ordered_beside_the_tools_has_no_bound(name: str, value: object, unbounded: bool) -> None:
    bound = InputBound()
    members.bound_tools({name: value}, bound)
    assert bool(bound.unbounded) is unbounded
