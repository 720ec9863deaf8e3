"""From a client's dialect to a provider's and back, through the neutral form.

Usage is read from the provider's own bytes by its own dialect's tap, so metering does not depend on any of this. Memory per
stream is bounded: events are translated one by one, and one beyond `MAX_EVENT_BYTES` ends the stream with an error.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Dialect, Payload, UsageTap
from gateway_proxy.core.errors import BadExchange, GatewayError, UpstreamFailed
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects import sse
from gateway_proxy.dialects.findings import MAX_EVENT_BYTES
from gateway_proxy.dialects.neutral.answer import (
    Broke,
    End,
    Event,
    Finish,
    StreamReader,
    StreamWriter,
    Unreadable,
)
from gateway_proxy.dialects.neutral.form import ClientForm, ProviderForm
from gateway_proxy.dialects.neutral.request import Inexpressible, Request

_NOT_THEIRS = (b"openai-", b"anthropic-", b"accept:")
# What comes of values where nobody expects them, and of objects too deep to be written again.
_ODDITIES = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
MAX_TOLD_CHARACTERS = 2000


class Translator:
    """One pair of dialects; stateless."""

    def __init__(
        self, client: Dialect, client_form: ClientForm, provider: Dialect, form: ProviderForm
    ) -> None:
        self.client = client
        self.client_form = client_form
        self.provider = provider
        self.form = form

    def translate(self, exchange: Exchange, target: Target) -> "TranslatedRequest":
        """See `core.translation.Translator`."""
        route, model = exchange.route, exchange.model
        assert route is not None and model is not None
        try:
            request = self.client_form.read_request(route)
            if request.max_tokens is None:
                request.max_tokens = model.answer_tokens
            written = self.form.write_request(request, target.model)
        except Inexpressible as error:
            member = self.client_form.members.get(error.member, error.member)
            raise BadExchange(
                f"'{member}' cannot be translated for the model '{route.model}', whose provider speaks {self.form.title}: "
                f"{error.why}.",
                code="not_translatable",
                param=member,
                gateway={"reason": "not_translatable", "dialect": self.provider.name},
            ) from None
        return TranslatedRequest(self, request, written, exchange)


class TranslatedRequest:
    """See `core.translation.Translated`."""

    __slots__ = ("_created_at", "_operation", "_request", "_request_id", "_translator", "route")

    def __init__(self, translator: Translator, request: Request, route: Route, exchange: Exchange) -> None:
        self._translator = translator
        self._request = request
        self._created_at = exchange.received_at
        self._operation = exchange.operation
        self._request_id = exchange.id
        self.route = route

    def encode(
        self, target: Target, output_cap: int | None, modern_cap_field: bool
    ) -> tuple[Payload, str, str]:
        """The provider's own dialect serialises it, with the maximum in the member that it has for that."""
        cap = self._request.max_tokens if output_cap is None else output_cap
        return self._translator.provider.encode(self.route, target, cap, modern_cap_field)

    def adapt_head(self, upward: bytes) -> bytes:
        """Without the options of another API."""
        lines = [
            line for line in upward.splitlines(keepends=True) if not line.lower().startswith(_NOT_THEIRS)
        ]
        return b"".join((*lines, self._translator.form.head_lines()))

    def tap(self, streaming: bool) -> UsageTap:
        """Of a whole answer the provider's own tap is enough."""
        native = self._translator.provider.tap(self.route, streaming)
        if not streaming:
            return native
        translator = self._translator
        reader = translator.form.stream_reader()
        writer = translator.client_form.stream_writer(self._request, self._created_at)
        return TranslatingTap(native, reader, writer, self._error_event)

    def _error_event(self, error: GatewayError) -> bytes:
        return self._translator.client.error_event(error, self._operation, self._request_id)

    def translate_answer(self, body: bytes, usage: Usage | None) -> bytes:
        """Raises ValueError."""
        value = orjson.loads(body)
        if type(value) is not dict:
            raise Unreadable("not an object")
        try:
            answer = self._translator.form.read_answer(value)
            return orjson.dumps(self._translator.client_form.write_answer(answer, usage, self._created_at))
        except _ODDITIES as error:
            raise Unreadable(str(error)[:200]) from None

    def translate_error(self, status: int, body: bytes) -> bytes:
        """The provider's words under the client dialect's own type for this status."""
        message, code = _read_error(body)
        error = GatewayError(
            message or f"The provider answered with status {status}.",
            status=status,
            type="api_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error",
            code=code or "upstream_error",
        )
        return self._translator.client.error_body(error, self._request_id)


def _read_error(body: bytes) -> tuple[str, str]:
    """(message, code) of an error body of any dialect."""
    try:
        error: Any = orjson.loads(body)["error"]
        told = (error.get("message"), error.get("code"), error.get("status"), error.get("type"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
    code = next((word for word in told[1:] if type(word) is str and word), "")
    return (told[0][:MAX_TOLD_CHARACTERS] if type(told[0]) is str else ""), code[:64]


class TranslatingTap:
    """Feeds the provider's tap with its own bytes, and hands on what they mean in the client's dialect."""

    __slots__ = (
        "_assembler", "_error_event", "_finish", "_native", "_over", "_reader", "_writer", "failed", "finished",
    )  # fmt: skip
    needs_end: ClassVar[bool] = True
    # What was used is the provider's tap's to say; it may read its events only when it is asked.
    usage: Usage | None
    usage_final: bool
    invalid_usage: bool
    reported_model: str
    service_tier: str | None
    streamed_tokens: int

    def __init__(
        self,
        native: UsageTap,
        reader: StreamReader,
        writer: StreamWriter,
        error_event: Callable[[GatewayError], bytes],
    ) -> None:
        self.failed = False
        self.finished = False
        self._native = native
        self._reader = reader
        self._writer = writer
        self._error_event = error_event
        self._assembler = sse.Assembler(MAX_EVENT_BYTES)
        self._finish = False  # the model has stopped: only usage and end may follow
        self._over = False  # the client has been told the end, or an error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def feed(self, chunk: bytes) -> bytes:
        """The client's events for the events that this chunk completes."""
        self._native.feed(chunk)
        self._note()
        _, events = self._assembler.push(chunk)
        if self._assembler.overflowed:
            return self._break("sent an event that is too long to be translated")
        return self._translate(events) if events else b""

    def at_event_boundary(self) -> bool:
        """Always: only whole events leave."""
        return True

    def close(self) -> bytes:
        """The last event, if its blank line is missing, and the end, if the provider's dialect has no mark for it."""
        self._native.close()
        self._note()
        rest = self._translate(self._assembler.release())
        if self._finish and not self._over and self.finished:
            rest += self._put(End())
        return rest

    def _note(self) -> None:
        native = self._native
        self.failed = self.failed or native.failed
        self.finished = native.finished or (self._finish and not native.needs_end)

    def _translate(self, events: bytes) -> bytes:
        told: list[bytes] = []
        try:
            for event in sse.split_events(events):
                data = sse.data_of(event)
                if data and not self._over:
                    told += [self._put(piece) for piece in self._reader.read(data)]
        except _ODDITIES:
            told.append(self._break("sent a stream that cannot be translated"))
        return b"".join(told)

    def _put(self, event: Event) -> bytes:
        if self._over:
            return b""
        if isinstance(event, End):
            self._over = True
            return self._writer.end(self._native.usage)
        if isinstance(event, Broke):
            return self._break("", event)
        if isinstance(event, Finish):
            self._finish = True
            self.finished = self.finished or not self._native.needs_end
        return self._writer.write(event)

    def _break(self, what: str, event: Broke | None = None) -> bytes:
        """The client's last event. What comes after it is counted and no more."""
        self.failed = True
        if self._over:
            return b""
        self._over = True
        if event is None:
            return self._error_event(UpstreamFailed(f"The provider {what}."))
        message = event.message[:MAX_TOLD_CHARACTERS] or "The provider broke off with an error."
        return self._error_event(UpstreamFailed(message, code=event.code[:64] or "upstream_error"))
