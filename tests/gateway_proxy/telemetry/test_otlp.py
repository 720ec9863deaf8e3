"""Spans on the wire, as a real receiver on loopback reads them, and the sampler of the environment."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway_proxy.config import config_from_dict
from gateway_proxy.telemetry.otlp import Pipe
from gateway_proxy.telemetry.spans import Span
from tests.support.receiver import Receiver

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Receiver() as running:
        yield running


def make_pipe(endpoint: str = "", headers: bool = False) -> Pipe:
    telemetry = {
        "traces": True,
        "endpoint": endpoint,
        "headers": {"authorization": "env:A"} if headers else {},
    }
    settings = config_from_dict({"telemetry": telemetry}, environment={"A": "Bearer canary"}).telemetry
    return Pipe(settings, "gtw_1")


def make_span(error: str = "", parent: str = PARENT, trace_state: str = "a=1") -> Span:
    attributes = {"text": "a", "number": 7, "share": 0.5, "flag": True}
    return Span("chat m", TRACE, SPAN, parent, trace_state, 1_000, 2_500, error, attributes)


def values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@pytest.mark.parametrize(("error", "parent", "state"), [("", PARENT, "a=1"), ("upstream_timeout", "", "")])
def test_a_span_on_the_wire(receiver: Receiver, error: str, parent: str, state: str) -> None:
    pipe = make_pipe(f"http://127.0.0.1:{receiver.port}/base", headers=True)
    pipe.emit(make_span(error, parent, state))
    pipe.shut_down()
    (received,) = receiver.requests
    assert received.path == "/base/v1/traces" and received.headers["authorization"] == "Bearer canary"
    (resource,) = ExportTraceServiceRequest.FromString(received.body).resource_spans
    assert values(resource.resource.attributes)["service.name"] == "gateway-proxy"
    (scope,) = resource.scope_spans
    (span,) = scope.spans
    assert scope.scope.name == "gateway_proxy"
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN, parent)
    assert (span.name, span.trace_state, span.kind) == ("chat m", state, span.SPAN_KIND_CLIENT)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_000, 2_500)
    assert values(span.attributes) == {"text": "a", "number": 7, "share": 0.5, "flag": True}
    status = span.status.STATUS_CODE_ERROR if error else span.status.STATUS_CODE_UNSET
    assert (span.status.code, span.status.message) == (status, error)


def test_the_environment_names_the_receiver_and_the_service(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    pipe = make_pipe()
    pipe.emit(make_span())
    pipe.shut_down()
    (received,) = receiver.requests
    assert received.path == "/v1/traces" and received.headers["x-team"] == "a"
    (resource,) = ExportTraceServiceRequest.FromString(received.body).resource_spans
    told = values(resource.resource.attributes)
    assert (told["service.name"], told["service.instance.id"]) == ("mine", "gtw_1")
    assert told["deployment.environment.name"] == "test"


@pytest.mark.parametrize(
    ("sampler", "argument", "parent", "flags", "low", "high"),
    [
        ("", "", "", 0, True, True),
        ("", "", PARENT, 0, False, False),
        ("", "", PARENT, 1, True, True),
        ("parentbased_traceidratio", "0.5", "", 1, True, False),
        ("parentbased_traceidratio", "0.5", PARENT, 1, True, True),
        ("always_off", "", PARENT, 1, False, False),
    ],
)
def test_who_is_sampled(
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    argument: str,
    parent: str,
    flags: int,
    low: bool,
    high: bool,
) -> None:
    if sampler:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    pipe = make_pipe()
    found = [pipe.is_sampled(trace, parent, flags, "chat") for trace in ("0" * 31 + "1", "f" * 32)]
    pipe.shut_down()
    assert found == [low, high]
