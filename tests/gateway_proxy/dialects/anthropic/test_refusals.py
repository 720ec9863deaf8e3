"""refusals: Anthropic's own few types, with ours beside them."""

import orjson
import pytest

from gateway_proxy.core import errors
from gateway_proxy.dialects.anthropic.refusals import error_body, error_event


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.Unauthenticated("x"), "authentication_error"),
        (errors.Forbidden("x"), "permission_error"),
        (errors.ModelUnknown("x"), "not_found_error"),
        (errors.RateLimited("x"), "rate_limit_error"),
        (errors.BudgetExceeded("x"), "rate_limit_error"),
        (errors.BudgetExceeded("x", status=402), "billing_error"),
        (errors.BadExchange("x"), "invalid_request_error"),
        (errors.BadExchange("x", status=405), "invalid_request_error"),
        (errors.BadExchange("x", status=413), "request_too_large"),
        (errors.UpstreamFailed("x"), "api_error"),
        (errors.UpstreamFailed("x", status=504), "timeout_error"),
        (errors.Unavailable("x"), "overloaded_error"),
        (errors.Unavailable("x", code="store_stale"), "api_error"),
    ],
)
def test_types(error: errors.GatewayError, kind: str) -> None:
    assert orjson.loads(error_body(error, "req_1")) == {
        "type": "error",
        "error": {"type": kind, "message": "x", "code": error.code, "details": {"error_code": error.code}},
        "request_id": "req_1",
    }


def test_what_is_known_is_told_and_details_are_not() -> None:
    error = errors.ModelForbidden("x", param="model", gateway={"reason": "r"}, detail="secret")
    body = error_body(error, "")
    shown = orjson.loads(body)["error"]
    assert (shown["param"], shown["gateway"]) == ("model", {"reason": "r"})
    assert b"secret" not in body


def test_the_last_event_of_a_broken_stream() -> None:
    error = errors.UpstreamFailed('It "broke".\n')
    assert error_event(error, "req_1") == b"event: error\ndata: " + error_body(error, "req_1") + b"\n\n"
