"""How requests are translated to the Gemini dialect and its answers from it, as `dialects.neutral.form` wants it."""

from typing import Any, ClassVar

from gateway_proxy.core.route import Route
from gateway_proxy.dialects.gemini import neutral_answer, neutral_request
from gateway_proxy.dialects.neutral.answer import Answer, StreamReader
from gateway_proxy.dialects.neutral.request import Request


class GeminiForm:
    """Stateless. Of providers only: what clients of this dialect say is not translated."""

    title: ClassVar[str] = "Gemini's API"

    def write_request(self, request: Request, model: str) -> Route:
        """Raises Inexpressible."""
        return neutral_request.write_request(request, model.removeprefix("models/"))

    def read_answer(self, value: dict[str, Any]) -> Answer:
        """Raises Unreadable."""
        return neutral_answer.read_answer(value)

    def stream_reader(self) -> StreamReader:
        """For one stream."""
        return neutral_answer.ContentReader()

    def head_lines(self) -> bytes:
        """None beyond the credential."""
        return b""
