"""Traces from the exchange to a real OTLP receiver on loopback, and their absence."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway_proxy.config import Config, config_from_dict
from gateway_proxy.core.exchange import Exchange, Outcome
from gateway_proxy.telemetry import tracing as module
from gateway_proxy.telemetry.spans import Server
from gateway_proxy.telemetry.tracing import Tracing
from tests.support.exchanges import make_exchange, make_policy, make_route
from tests.support.receiver import Received, Receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with Receiver() as running:
        yield running


def settings(receiver: Receiver | None, **members: Any) -> Config:
    endpoint = "" if receiver is None else f"http://127.0.0.1:{receiver.port}/base"
    telemetry = {"traces": True, "endpoint": endpoint, "headers": {"authorization": "env:A"}, **members}
    return config_from_dict({"telemetry": telemetry}, environment={"A": "Bearer canary"})


def make_tracing() -> Tracing:
    return Tracing(lambda name: Server("api.example.com", 443, "openai"), "gtw_1")


def ended(**members: Any) -> Exchange:
    usual: dict[str, Any] = {"trace_id": TRACE, "status": 200, "outcome": Outcome.COMPLETED}
    return make_exchange(make_policy(), None, make_route(), **{**usual, **members})


def pass_through(tracing: Tracing, exchange: Exchange) -> None:
    begin, end = tracing.hooks
    assert begin is not None and end is not None
    begin(exchange)
    end(exchange, 1_000_000)


def read(requests: list[Received]) -> list[Any]:
    """Every resource with its spans."""
    return [
        spans
        for request in requests
        for spans in ExportTraceServiceRequest.FromString(request.body).resource_spans
    ]


def values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


async def test_a_span_reaches_the_receiver(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    tracing = make_tracing()
    await tracing.configure(settings(receiver).telemetry)
    exchange = ended(parent_span=PARENT, trace_state="a=1", span_id="b7ad6b7169203331")
    pass_through(tracing, exchange)
    await tracing.close()
    (received,) = receiver.requests
    assert received.path == "/base/v1/traces" and received.headers["authorization"] == "Bearer canary"
    (resource,) = read([received])
    told = values(resource.resource.attributes)
    assert told["service.name"] == "gateway-proxy" and told["service.instance.id"] == "gtw_1"
    assert told["deployment.environment.name"] == "test"
    (scope,) = resource.scope_spans
    (span,) = scope.spans
    assert scope.scope.name == "gateway_proxy"
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
        TRACE,
        "b7ad6b7169203331",
        PARENT,
    )
    assert (span.name, span.trace_state, span.kind) == ("chat m", "a=1", span.SPAN_KIND_CLIENT)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_000_000
    assert values(span.attributes)["gateway_proxy.key.id"] == "key_a"
    assert span.status.code == span.status.STATUS_CODE_UNSET


async def test_what_is_not_sampled_is_not_sent(receiver: Receiver) -> None:
    tracing = make_tracing()
    await tracing.configure(settings(receiver).telemetry)
    unsampled = ended(parent_span=PARENT, trace_flags="02")
    pass_through(tracing, unsampled)
    assert unsampled.trace_flags == "02"  # the parent's decision
    pass_through(tracing, ended(operation=""))
    await tracing.close()
    assert receiver.requests == []


async def test_the_environment_s_sampler_decides_where_a_trace_begins(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "my-gateway")
    tracing = make_tracing()
    await tracing.configure(settings(receiver).telemetry)
    low, high = ended(trace_id="0" * 31 + "1"), ended(trace_id="f" * 32)
    for exchange in (low, high):
        pass_through(tracing, exchange)
    assert (low.trace_flags, high.trace_flags) == ("01", "00")  # the provider is told as much
    await tracing.close()
    (resource,) = read(receiver.requests)
    assert values(resource.resource.attributes)["service.name"] == "my-gateway"
    assert [span.trace_id.hex() for span in resource.scope_spans[0].spans] == [low.trace_id]


async def test_off_is_off_and_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    tracing = make_tracing()
    await tracing.configure(Config().telemetry)
    assert tracing.hooks == (None, None)
    await tracing.close()


async def test_a_reload_turns_it_off_and_sends_what_is_left(receiver: Receiver) -> None:
    tracing = make_tracing()
    await tracing.configure(settings(receiver).telemetry)
    hooks = tracing.hooks
    pass_through(tracing, ended(error=None, status=503, outcome=Outcome.UPSTREAM_FAILED))
    tracing._hand_on()
    await tracing.configure(settings(receiver, traces=False).telemetry)
    assert tracing.hooks == (None, None)
    assert hooks.begin is not None
    hooks.begin(ended())  # of a request that saw the old hooks
    (received,) = await asyncio.to_thread(receiver.wait, 1)
    (span,) = read([received])[0].scope_spans[0].spans
    assert span.status.code == span.status.STATUS_CODE_ERROR and span.status.message == "503"


async def test_a_receiver_that_hangs_keeps_nobody(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    released = threading.Event()
    receiver.answer = lambda _: 200 if released.wait(10) else 500
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    tracing = make_tracing()
    await tracing.configure(settings(receiver).telemetry)
    for _ in range(3):
        pass_through(tracing, ended())
    assert tracing.dropped == 1
    began = asyncio.get_running_loop().time()
    await tracing.close()
    assert asyncio.get_running_loop().time() - began < 2
    released.set()
    await asyncio.to_thread(receiver.wait, 1)
