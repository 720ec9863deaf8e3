"""What a wire format must be able to do. Pure functions over bytes; no socket."""

from typing import Any, ClassVar, Protocol

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.errors import GatewayError
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage

Payload = bytes | list[bytes | memoryview]
"""A body as it leaves; pieces where joining them would bring a file into memory."""


class UsageTap(Protocol):
    """Reads the usage out of an answer that passes by; never delays or changes what others see.

    `feed` returns the bytes to hand on: the same, or without the extra usage event when the client did not
    ask for it (an incomplete event may then be held back until its end has come).
    """

    usage: Usage | None  # the provider's own, disjoint classes; None: none seen
    usage_final: bool  # `usage` closes the account; False: a running sum, which may still grow
    invalid_usage: bool  # a usage object came but cannot be believed (negative, not a number, absurd)
    reported_model: str
    service_tier: str | None
    finished: bool  # the stream's own end marker was seen
    failed: bool  # an error event was seen in the stream
    streamed_tokens: int  # estimate of output tokens that passed so far
    needs_end: ClassVar[bool]  # a stream without its end marker is broken, however its transport ended

    def feed(self, chunk: bytes, /) -> bytes: ...

    def at_event_boundary(self) -> bool:
        """Whether a comment may be written to the client now without splitting an event."""
        ...

    def close(self) -> bytes:
        """The end was reached: returns what was still held back."""
        ...


class Dialect(Protocol):
    """A client's dialect reads requests and writes refusals; a provider's one writes requests and reads answers.

    `speaks` names the client dialects whose parsed bodies it can write: its own, and those whose wire format it shares.
    """

    name: ClassVar[str]
    speaks: ClassVar[frozenset[str]]

    def identify(self, operation: str, path: str, body: bytes, content_type: str, /) -> Route:
        """Parse the body once; that of a large form is a map of a file, which reads like bytes. Raises BadExchange."""
        ...

    def encode(
        self, route: Route, target: Target, output_cap: int | None, modern_cap_field: bool, /
    ) -> tuple[Payload, str, str]:
        """The body to send, its content type, and the path below the provider's base URL: the parsed value with
        the target's model, the cap and the usage option written into it. Raises ModelUnknown for a name that
        cannot stand in a path."""
        ...

    def tap(self, route: Route, streaming: bool, /) -> UsageTap:
        """`streaming` says whether the upstream answered with an event stream."""
        ...

    def error_body(self, error: GatewayError, request_id: str, /) -> bytes:
        """A refusal in this dialect's own shape."""
        ...

    def error_event(self, error: GatewayError, operation: str, request_id: str, /) -> bytes:
        """The last event of a stream that broke after its head had left."""
        ...

    def upstream_headers(self, api_key: str | None, /) -> list[tuple[str, str]]:
        """The credential headers of a provider speaking this dialect."""
        ...


JsonObject = dict[str, Any]
