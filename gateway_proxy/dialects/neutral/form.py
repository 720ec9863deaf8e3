"""What a dialect brings to be translated from and to: how it says each thing of the neutral form."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.neutral.answer import Answer, StreamReader, StreamWriter
from gateway_proxy.dialects.neutral.request import Request


class ProviderForm(Protocol):
    """Writes requests and reads answers."""

    title: ClassVar[str]  # what people call it

    def write_request(self, request: Request, model: str, /) -> Route:
        """The request as this dialect's own route. Raises Inexpressible."""
        ...

    def read_answer(self, value: dict[str, Any], /) -> Answer:
        """Raises Unreadable."""
        ...

    def stream_reader(self) -> StreamReader: ...

    def head_lines(self) -> bytes:
        """Header lines that a request in this dialect needs beside the credential."""
        ...


class ClientForm(Protocol):
    """Reads requests and writes answers."""

    members: ClassVar[Mapping[str, str]]  # this dialect's names of `Request`'s attributes, where they differ

    def read_request(self, route: Route, /) -> Request:
        """Raises Inexpressible, and BadExchange for members of a wrong type."""
        ...

    def write_answer(self, answer: Answer, usage: Usage | None, created_at: int, /) -> dict[str, Any]:
        """`created_at` in Unix milliseconds."""
        ...

    def stream_writer(self, request: Request, created_at: int, /) -> StreamWriter: ...
