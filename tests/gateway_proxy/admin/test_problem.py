import pytest

from gateway_proxy.admin.problem import (
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    Problem,
    SignInNeeded,
    Stale,
    TooMany,
)
from gateway_proxy.keys.fields import FieldError


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Problem, 400, "bad_request"), (SignInNeeded, 401, "unauthenticated"), (NotAllowed, 403, "forbidden"),
        (NotFound, 404, "not_found"), (Conflict, 409, "conflict"), (Stale, 412, "revision_mismatch"),
    ],
)  # fmt: skip
def test_every_kind_has_its_status_and_code(kind: type[Problem], status: int, code: str) -> None:
    problem = kind("that is why")
    assert (problem.status, problem.code, problem.detail, str(problem)) == (
        status,
        code,
        "that is why",
        "that is why",
    )
    assert kind("why", code="closer").code == "closer"
    assert kind.code == code


def test_mistakes_are_kept_and_summed_up() -> None:
    problem = Invalid([FieldError("a.b", "is wrong"), FieldError("c", "is missing")])
    assert (problem.status, problem.code) == (422, "invalid")
    assert problem.detail == "a.b: is wrong; c: is missing"
    assert [error.path for error in problem.errors] == ["a.b", "c"]


def test_too_many_says_when_to_come_back() -> None:
    problem = TooMany("slow down", 30)
    assert (problem.status, problem.code, problem.retry_after_seconds) == (429, "throttled", 30)
