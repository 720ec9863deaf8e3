"""OpenTelemetry traces: a span for each exchange, made by hand when it has ended and sent by the SDK's own thread.

Needs the extra `otel`, and imports nothing of it while it is off: then a request pays for two comparisons. Endpoint,
headers, sampler, resource and batching come from the environment (OTEL_…); the settings' endpoint and headers win.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gateway_proxy import __version__
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.tasks import spawn
from gateway_proxy.telemetry.spans import Finished, Server, Span, make_span, take

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler

    from gateway_proxy.config.model import Telemetry

log = logging.getLogger("gateway_proxy.tracing")

INTERVAL_SECONDS = 0.25
MAX_WAITING = 10_000
CLOSE_SECONDS = 3.0
_SCOPE = "gateway_proxy"


class Hooks(NamedTuple):
    """What the data plane calls: when an exchange begins, and when it has ended; None while traces are off."""

    begin: Callable[[Exchange], None] | None
    end: Callable[[Exchange, int], None] | None


class _Pipe(NamedTuple):
    processor: "BatchSpanProcessor"
    sampler: "Sampler"
    resource: "Resource"


class Tracing:
    """`find_server` knows where a provider is, by its name."""

    def __init__(self, find_server: Callable[[str], Server | None], gateway_id: str) -> None:
        self._find_server = find_server
        self._gateway_id = gateway_id
        self._settings: Telemetry | None = None
        self._pipe: _Pipe | None = None
        self._waiting: deque[Finished] = deque()
        self.dropped = 0

    @property
    def hooks(self) -> Hooks:
        return Hooks(None, None) if self._pipe is None else Hooks(self._begin, self._end)

    async def configure(self, settings: "Telemetry") -> None:
        """Raises ValueError, and changes nothing, where the SDK does not take the settings."""
        if settings == self._settings:
            return
        pipe = await asyncio.to_thread(_open, settings, self._gateway_id) if settings.traces else None
        before, self._pipe, self._settings = self._pipe, pipe, settings
        if before is not None:
            spawn(_close(before), "send the last spans")

    async def run(self) -> None:
        """Hands spans on until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self._hand_on()

    async def close(self) -> None:
        """Send what is left, as far as the receiver takes it in three seconds."""
        self._hand_on()
        if self._pipe is not None:
            await _close(self._pipe)
            self._pipe = None

    def _begin(self, exchange: Exchange) -> None:
        """Decide whether this trace is sampled, and say so to the provider too."""
        if self._pipe is None:
            return
        flags = int(exchange.trace_flags, 16)
        is_sampled = _is_sampled(self._pipe.sampler, exchange)
        exchange.trace_flags = f"{flags | 1 if is_sampled else flags & 0xFE:02x}"

    def _end(self, exchange: Exchange, now_ns: int) -> None:
        if not exchange.operation or not int(exchange.trace_flags, 16) & 1:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(take(exchange, now_ns))

    def _hand_on(self) -> None:
        while self._waiting:
            finished = self._waiting.popleft()
            if self._pipe is not None:
                span = make_span(finished, self._find_server(finished.provider))
                _emit(self._pipe, span)


def _open(settings: "Telemetry", gateway_id: str) -> _Pipe:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    ours = {
        "service.name": "gateway-proxy",
        "service.version": __version__,
        "service.instance.id": gateway_id,
    }
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME wins
    exporter = OTLPSpanExporter(
        endpoint=f"{settings.endpoint}/v1/traces" if settings.endpoint else None,
        headers={name: secret.reveal() for name, secret in settings.headers.items()} or None,
    )
    # The provider itself is only asked for the sampler that the environment names.
    sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler
    return _Pipe(BatchSpanProcessor(exporter), sampler, resource)


async def _close(pipe: _Pipe) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def shut_down() -> None:
        pipe.processor.shutdown()  # type: ignore[no-untyped-call]
        with contextlib.suppress(RuntimeError):  # the loop did not wait
            loop.call_soon_threadsafe(tell)

    # A daemon of its own, not the loop's pool: a receiver that hangs must not keep the process from ending.
    threading.Thread(target=shut_down, name="send the last spans", daemon=True).start()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await ended
    except TimeoutError:
        log.warning("the last spans could not be sent in time")


def _is_sampled(sampler: "Sampler", exchange: Exchange) -> bool:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import Decision
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    trace_id = int(exchange.trace_id, 16)
    context = Context()
    if exchange.parent_span:
        flags = TraceFlags(int(exchange.trace_flags, 16))
        parent = SpanContext(trace_id, int(exchange.parent_span, 16), is_remote=True, trace_flags=flags)
        context = set_span_in_context(NonRecordingSpan(parent), context)
    return sampler.should_sample(context, trace_id, exchange.operation).decision is Decision.RECORD_AND_SAMPLE


def _emit(pipe: _Pipe, span: Span) -> None:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

    trace_id, flags = int(span.trace_id, 16), TraceFlags(TraceFlags.SAMPLED)
    state = TraceState.from_header([span.trace_state])
    parent = None
    if span.parent:
        parent = SpanContext(
            trace_id, int(span.parent, 16), is_remote=True, trace_flags=flags, trace_state=state
        )
    pipe.processor.on_end(
        ReadableSpan(
            span.name,
            context=SpanContext(
                trace_id, int(span.span_id, 16), is_remote=False, trace_flags=flags, trace_state=state
            ),
            parent=parent,
            resource=pipe.resource,
            attributes=span.attributes,
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=InstrumentationScope(_SCOPE, __version__),
        )
    )
