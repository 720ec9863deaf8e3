"""What is written for a provider is what its own SDK's types allow, member by member: they know nothing of ours."""

from collections.abc import Mapping
from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google.genai import types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from gateway_proxy.dialects.anthropic.form import AnthropicForm
from gateway_proxy.dialects.gemini.form import GeminiForm
from gateway_proxy.dialects.neutral.request import Request
from gateway_proxy.dialects.openai.form import OpenAIForm
from tests.support.chats import requests

FEW = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
EFFORTS = st.sampled_from((None, "low", "medium", "high"))
# The newest models take none of these any more, and the SDK's types with them; older ones do.
SAMPLING = ("temperature", "top_p", "top_k")


def drain(value: Any) -> Any:
    """Iterables in these types are checked only when they are read; members that a type does not know are gone."""
    if isinstance(value, Mapping):
        return {name: drain(member) for name, member in value.items()}
    return (
        value if value is None or isinstance(value, str | int | float) else [drain(entry) for entry in value]
    )


def fill(request: Request, effort: str | None) -> Request:
    request.stream = False
    request.effort = effort
    request.max_tokens = 20_000
    request.user = "ada"
    return request


@pytest.mark.slow
@given(request=requests(), effort=EFFORTS)
@FEW
def test_openai(request: Request, effort: str | None) -> None:
    request.parallel, request.seed, request.presence_penalty = False, 5, 0.5
    body = OpenAIForm().write_request(fill(request, effort), "m").body
    assert drain(TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body)) == body


@pytest.mark.slow
@given(request=requests(), effort=EFFORTS, model=st.sampled_from(("claude-sonnet-4-5", "claude-opus-4-7")))
@FEW
def test_anthropic(request: Request, effort: str | None, model: str) -> None:
    request.parallel, request.tier = False, "standard"
    body = AnthropicForm().write_request(fill(request, effort), model).body
    known = {name: value for name, value in body.items() if name not in SAMPLING}
    assert drain(TypeAdapter(MessageCreateParamsNonStreaming).validate_python(known)) == known


@pytest.mark.slow
@given(request=requests(), effort=EFFORTS, model=st.sampled_from(("gemini-2.5-pro", "gemini-3-pro")))
@FEW
def test_gemini(request: Request, effort: str | None, model: str) -> None:
    request.seed, request.presence_penalty, request.top_k = 5, 0.5, 4
    body = dict(GeminiForm().write_request(fill(request, effort), model).body)
    for content in (*body.pop("contents"), body.pop("systemInstruction", {})):
        types.Content.model_validate(content)
    for tool in body.pop("tools", []):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.pop("toolConfig", {}))
    types.GenerationConfig.model_validate(body.pop("generationConfig", {}))
    assert body == {} and types.Content.model_config["extra"] == "forbid"
