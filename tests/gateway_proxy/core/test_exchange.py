"""An exchange begins empty, and two exchanges share nothing that can change."""

from gateway_proxy.core.exchange import NO_USAGE, Outcome
from gateway_proxy.core.usage import Usage
from tests.support.exchanges import make_exchange


def test_nothing_is_shared() -> None:
    first, second = make_exchange(), make_exchange()
    first.claims.append("claim")  # type: ignore[arg-type]
    first.attempts.append("attempt")  # type: ignore[arg-type]
    first.answer_lines += "a: b\r\n"
    first.extras["stage"] = 1
    first.secret = "s"
    assert (second.claims, second.attempts, second.extras, second.secret) == ([], [], {}, None)
    assert second.answer_lines == "x-request-id: req_1\r\n" and second.outcome is Outcome.OPEN


def test_nothing_used_stays_nothing() -> None:
    assert Usage() == NO_USAGE
