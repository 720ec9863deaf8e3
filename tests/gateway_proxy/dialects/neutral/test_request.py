"""There and back through every dialect keeps the meaning; whatever a client writes is understood or refused, never a fault."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.anthropic.form import AnthropicForm
from gateway_proxy.dialects.gemini.form import GeminiForm
from gateway_proxy.dialects.neutral.request import Inexpressible, Request
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.dialects.openai.form import OpenAIForm
from tests.support.chats import (
    answers,
    as_events,
    collect,
    damaged,
    read_stream,
    requests,
    send,
    write_stream,
)

BOTH: Any = [
    pytest.param(OpenAIDialect(), OpenAIForm(), "chat", "/v1/chat/completions", id="openai"),
    pytest.param(AnthropicDialect(), AnthropicForm(), "messages", "/v1/messages", id="anthropic"),
]
FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "form", "operation", "path"), BOTH)
@given(request=requests())
@FEW
def test_requests(dialect: Dialect, form: Any, operation: str, path: str, request: Request) -> None:
    body = send(dialect, form.write_request(request, "m"), "m", request.max_tokens)
    route = dialect.identify(operation, path, orjson.dumps(body), "application/json")
    again = form.read_request(route)
    again.wants_usage = request.wants_usage
    assert again == request


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "form", "operation", "path"), BOTH)
@given(answer=answers())
@FEW
def test_answers_whole_and_streamed(
    dialect: Dialect, form: Any, operation: str, path: str, answer: Any
) -> None:
    assert form.read_answer(form.write_answer(answer, None, 1000)) == answer
    stream = write_stream(form.stream_writer(Request(), 1000), as_events(answer))
    assert collect(read_stream(form.stream_reader(), stream)) == answer


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "form", "operation", "path"), BOTH)
@given(request=requests(), data=st.data())
@FEW
def test_no_body_is_a_fault(
    dialect: Dialect, form: Any, operation: str, path: str, request: Request, data: st.DataObject
) -> None:
    body = send(dialect, form.write_request(request, "m"), "m", request.max_tokens)
    try:
        route = dialect.identify(operation, path, orjson.dumps(data.draw(damaged(body))), "application/json")
        read = form.read_request(route)
        for other in (OpenAIForm(), AnthropicForm(), GeminiForm()):
            other.write_request(read, "m")
    except BadExchange as error:
        assert error.public and error.code
    except Inexpressible as error:
        assert error.member and error.why
