"""Problems say what was wrong and have stable codes."""

from gateway_proxy.admin.problem import Invalid, NotFound, TooMany, WrongMethod
from gateway_proxy.keys.fields import FieldError


def test_a_code_can_be_told_apart() -> None:
    assert NotFound("gone").code == "not_found"
    problem = NotFound("gone", code="key_gone")
    assert (problem.code, problem.detail, problem.status) == ("key_gone", "gone", 404)


def test_every_mistake_is_in_the_detail() -> None:
    problem = Invalid([FieldError("a", "is bad"), FieldError("b[0]", "is worse")])
    assert problem.detail == "a: is bad; b[0]: is worse"
    assert [error.path for error in problem.errors] == ["a", "b[0]"]
    assert Invalid([FieldError("", "must be a JSON object")]).detail == "must be a JSON object"


def test_some_say_what_to_do_in_a_header() -> None:
    assert TooMany("wait", 30).retry_after_seconds == 30
    assert WrongMethod("no", ["GET"]).allowed == ("GET",)
