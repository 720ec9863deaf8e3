"""Errors: what the class says holds unless one instance says otherwise."""

from gateway_proxy.core.errors import (
    BadExchange,
    BudgetExceeded,
    Denied,
    GatewayError,
    RateLimited,
    Unauthenticated,
)


def test_classes_bring_status_type_and_code() -> None:
    error = Unauthenticated("no")
    assert (error.status, error.type, error.code) == (401, "invalid_request_error", "invalid_api_key")
    assert isinstance(error, Denied)
    assert (RateLimited("x").status, BudgetExceeded("x").code) == (429, "insufficient_quota")


def test_an_instance_may_differ_without_touching_its_class() -> None:
    error = BadExchange(
        "x", code="body_too_large", status=413, param="body", detail="secret", should_retry=False
    )
    assert (error.status, error.code, error.param, error.should_retry) == (
        413,
        "body_too_large",
        "body",
        False,
    )
    assert (BadExchange.status, BadExchange.code) == (400, "invalid_request")
    assert "secret" not in str(error)


def test_everything_else_is_a_fault_of_ours() -> None:
    assert (GatewayError("x").status, GatewayError("x").code) == (500, "internal_error")
