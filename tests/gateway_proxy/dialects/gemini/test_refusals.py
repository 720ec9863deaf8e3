"""refusals: google.rpc.Status, recognised by SDKs in a body and in a stream."""

import orjson
import pytest

from gateway_proxy.core import errors
from gateway_proxy.dialects.gemini.refusals import error_body, error_event


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unauthenticated("x"), "UNAUTHENTICATED"),
        (errors.Forbidden("x"), "PERMISSION_DENIED"),
        (errors.ModelUnknown("x"), "NOT_FOUND"),
        (errors.RateLimited("x"), "RESOURCE_EXHAUSTED"),
        (errors.BudgetExceeded("x", status=402), "RESOURCE_EXHAUSTED"),
        (errors.BadExchange("x"), "INVALID_ARGUMENT"),
        (errors.BadExchange("x", status=413), "INVALID_ARGUMENT"),
        (errors.UpstreamFailed("x"), "INTERNAL"),
        (errors.UpstreamFailed("x", status=504), "DEADLINE_EXCEEDED"),
        (errors.Unavailable("x"), "UNAVAILABLE"),
    ],
)
def test_statuses(error: errors.GatewayError, status: str) -> None:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code, "domain": "gateway",
        "metadata": {"type": error.type},
    }  # fmt: skip
    shown = {"code": error.status, "message": "x", "status": status, "details": [info]}
    assert orjson.loads(error_body(error)) == {"error": shown}


def test_what_is_known_is_told_and_details_are_not() -> None:
    error = errors.RateLimited("x", param="model", gateway={"a": 1}, detail="secret", retry_after_ms=1500)
    body = error_body(error)
    shown = orjson.loads(body)["error"]
    assert shown["gateway"] == {"a": 1} and shown["details"][0]["metadata"]["param"] == "model"
    assert shown["details"][1] == {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "1.500s",
    }
    assert b"secret" not in body


def test_the_last_event_of_a_broken_stream_begins_as_sdks_expect() -> None:
    event = error_event(errors.UpstreamFailed('It "broke".\n'))
    assert event.startswith(b'data: {"error":') and event.endswith(b"}\r\n\r\n") and event.count(b"\n") == 2
