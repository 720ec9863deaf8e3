"""How the Anthropic dialect is translated from and to, as `dialects.neutral.form` wants it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.anthropic import neutral_answer, neutral_request
from gateway_proxy.dialects.anthropic.version import VERSION_LINE
from gateway_proxy.dialects.neutral.answer import Answer, StreamReader, StreamWriter
from gateway_proxy.dialects.neutral.request import Request


class AnthropicForm:
    """Stateless."""

    title: ClassVar[str] = "Anthropic's API"
    members: ClassVar[Mapping[str, str]] = neutral_request.MEMBERS

    def read_request(self, route: Route) -> Request:
        """Raises Inexpressible, and BadExchange: invalid_type, dialect_not_served."""
        if route.free:
            raise BadExchange(
                f"The tokens of a request to the model '{route.model}' cannot be counted beforehand: its provider speaks another "
                "API. Every answer tells what it used.",
                code="dialect_not_served",
                param="model",
                gateway={"reason": "dialect_not_served", "dialect": "anthropic"},
            )
        return neutral_request.read_request(route)

    def write_request(self, request: Request, model: str) -> Route:
        """Raises Inexpressible."""
        return neutral_request.write_request(request, model)

    def read_answer(self, value: dict[str, Any]) -> Answer:
        """Raises Unreadable."""
        return neutral_answer.read_answer(value)

    def write_answer(self, answer: Answer, usage: Usage | None, created_at: int) -> dict[str, Any]:
        """See `neutral_answer.write_answer`."""
        return neutral_answer.write_answer(answer, usage)

    def stream_reader(self) -> StreamReader:
        """For one stream."""
        return neutral_answer.MessageReader()

    def stream_writer(self, request: Request, created_at: int) -> StreamWriter:
        """For one stream."""
        return neutral_answer.MessageWriter()

    def head_lines(self) -> bytes:
        """The version of the API that all of this is about."""
        return VERSION_LINE
