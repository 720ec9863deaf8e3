"""members: one member's type and range, and the refusals that name the member."""

import pytest

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects import members


def code_and_param(error: pytest.ExceptionInfo[BadExchange]) -> tuple[int, str, str | None]:
    return error.value.status, error.value.code, error.value.param


def test_wrong_type_says_what_to_write() -> None:
    error = members.wrong_type("n", "an integer from 1 to 128")
    assert (error.status, error.code, error.param) == (400, "invalid_type", "n")
    assert error.public == "'n' must be an integer from 1 to 128."


@pytest.mark.parametrize("count", [0, -1, 129, 1.0, "1", True, [], 1e19])
def test_a_count_is_an_integer_within_bounds(count: object) -> None:
    with pytest.raises(BadExchange) as caught:
        members.read_count({"n": count}, "n", 1, 128)
    assert code_and_param(caught) == (400, "invalid_type", "n")


@pytest.mark.parametrize("flag", [0, 1, "true", [], {}])
def test_a_flag_is_a_boolean(flag: object) -> None:
    with pytest.raises(BadExchange) as caught:
        members.read_flag({"stream": flag}, "stream")
    assert code_and_param(caught) == (400, "invalid_type", "stream")
