"""Spans into OpenTelemetry's SDK, whose own thread sends them by OTLP over HTTP. Imported only where traces are on.

Sampler, resource, batching, and what the settings do not say of the receiver, come from the environment (OTEL_…).
"""

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from gateway_proxy import __version__
from gateway_proxy.config.model import Telemetry
from gateway_proxy.telemetry.spans import Span

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("gateway_proxy", __version__)
_UNSET = Status(StatusCode.UNSET)
_NO_PARENT = Context()
_NO_STATE = TraceState()


class Pipe:
    """To one receiver. Raises ValueError for settings or an environment that the SDK does not take."""

    def __init__(self, settings: Telemetry, gateway_id: str) -> None:
        ours = {
            "service.name": "gateway-proxy",
            "service.version": __version__,
            "service.instance.id": gateway_id,
        }
        self._resource = Resource.create(ours).merge(
            OTELResourceDetector().detect()
        )  # OTEL_SERVICE_NAME wins
        exporter = OTLPSpanExporter(
            endpoint=f"{settings.endpoint}/v1/traces" if settings.endpoint else None,
            headers={name: secret.reveal() for name, secret in settings.headers.items()} or None,
        )
        # The provider itself is only asked for the sampler that the environment names.
        self._should_sample = TracerProvider(
            resource=self._resource, shutdown_on_exit=False
        ).sampler.should_sample
        self._processor = BatchSpanProcessor(exporter)

    def is_sampled(self, trace_id: str, parent: str, flags: int, name: str) -> bool:
        """Whether this trace is to be recorded; `parent` is the caller's span in hex, empty where the trace begins."""
        trace = int(trace_id, 16)
        context = _NO_PARENT
        if parent:
            caller = SpanContext(trace, int(parent, 16), is_remote=True, trace_flags=TraceFlags(flags))
            context = set_span_in_context(NonRecordingSpan(caller), _NO_PARENT)
        return self._should_sample(context, trace, name).decision is Decision.RECORD_AND_SAMPLE

    def emit(self, span: Span) -> None:
        """Hand a sampled span over; dropped where too many wait."""
        trace = int(span.trace_id, 16)
        state = TraceState.from_header([span.trace_state]) if span.trace_state else _NO_STATE
        parent = None
        if span.parent:
            parent = SpanContext(
                trace, int(span.parent, 16), is_remote=True, trace_flags=_SAMPLED, trace_state=state
            )
        self._processor.on_end(
            ReadableSpan(
                span.name,
                context=SpanContext(
                    trace, int(span.span_id, 16), False, trace_flags=_SAMPLED, trace_state=state
                ),
                parent=parent,
                resource=self._resource,
                attributes=span.attributes,
                kind=SpanKind.CLIENT,
                status=Status(StatusCode.ERROR, span.error) if span.error else _UNSET,
                start_time=span.start_ns,
                end_time=span.end_ns,
                instrumentation_scope=_SCOPE,
            )
        )

    def shut_down(self) -> None:
        """Send what waits, then end. Blocks for as long as the receiver takes."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]
