"""Traces of a running gateway: from the caller's span through ours to the provider's, in a real OTLP receiver."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.client import Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml
from tests.support.receiver import Receiver

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def spans_of(receiver: Receiver, count: int) -> list[Any]:
    """Every span that has arrived, once there are `count`. Raises AssertionError."""
    deadline = time.monotonic() + 10
    while True:
        requests = [ExportTraceServiceRequest.FromString(request.body) for request in receiver.requests]
        spans = [
            s for request in requests for r in request.resource_spans for g in r.scope_spans for s in g.spans
        ]
        if len(spans) >= count:
            return spans
        assert time.monotonic() < deadline, f"{len(spans)} of {count} spans have come"
        time.sleep(0.02)


def attributes_of(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


async def test_one_span_between_the_caller_s_and_the_provider_s(
    provider: FakeProvider, run_gateway: Callable[..., RunningGateway], receiver: Receiver
) -> None:
    telemetry = f'[telemetry]\ntraces = true\nendpoint = "http://127.0.0.1:{receiver.port}"\n'
    gateway = run_gateway(
        provider_toml(provider.base_url, extra='models = ["fake-1"]') + telemetry,
        environment={"OTEL_BSP_SCHEDULE_DELAY": "50", "NO_PROXY": "127.0.0.1"},
    )
    key = gateway.create_key()
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    async with Client(gateway.origin, key.secret, headers=headers) as client:
        whole = await client.send(chat_body(model="fake-1"))
        stream = await client.send(chat_body(model="fake-1", stream=True))
        refused = await client.send(chat_body(model="unknown"))
    assert [answer.status for answer in (whole, stream, refused)] == [200, 200, 404]
    spans = {attributes_of(span)["gateway_proxy.request.id"]: span for span in spans_of(receiver, 3)}
    sent = {entry.request_id: entry.traceparent for entry in provider.settled_ledger()}
    for answer in (whole, stream):
        span, told = spans[answer.request_id], attributes_of(spans[answer.request_id])
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert sent[answer.request_id] == f"00-{TRACE}-{span.span_id.hex()}-01"
        assert told["gen_ai.provider.name"] == "fake" and told["gen_ai.request.model"] == "fake-1"
        assert told["server.address"] == "127.0.0.1" and told["gateway_proxy.key.id"] == key.id
        assert told["gen_ai.usage.output_tokens"] > 0
    assert "gen_ai.response.time_to_first_chunk" in attributes_of(spans[stream.request_id])
    denied = spans[refused.request_id]
    assert attributes_of(denied)["error.type"] == "model_not_found"
    assert denied.status.code == denied.status.STATUS_CODE_ERROR
    assert key.secret.encode() not in b"".join(request.body for request in receiver.requests)
