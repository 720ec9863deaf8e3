"""How the OpenAI dialect is translated from and to: its chat API, as `dialects.neutral.form` wants it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.neutral.answer import Answer, StreamReader, StreamWriter
from gateway_proxy.dialects.neutral.request import Request
from gateway_proxy.dialects.openai import neutral_answer, neutral_request


class OpenAIForm:
    """Stateless."""

    title: ClassVar[str] = "OpenAI's API"
    members: ClassVar[Mapping[str, str]] = neutral_request.MEMBERS

    def read_request(self, route: Route) -> Request:
        """Raises Inexpressible, and BadExchange: invalid_type, dialect_not_served."""
        if route.path != "/chat/completions":
            raise BadExchange(
                f"The model '{route.model}' is not served by this endpoint: its provider speaks another API, and only chat "
                "completions are translated.",
                code="dialect_not_served",
                param="model",
                gateway={"reason": "dialect_not_served", "dialect": "openai"},
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
        return neutral_answer.write_answer(answer, usage, created_at)

    def stream_reader(self) -> StreamReader:
        """For one stream."""
        return neutral_answer.ChatReader()

    def stream_writer(self, request: Request, created_at: int) -> StreamWriter:
        """For one stream."""
        return neutral_answer.ChatWriter(request.wants_usage, created_at)

    def head_lines(self) -> bytes:
        """None beyond the credential."""
        return b""
