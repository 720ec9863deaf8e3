"""What the client sent is held before it is parsed."""

from gateway_proxy.core.body_text import Held
from gateway_proxy.stages.keep_body import KeepBody
from tests.support.exchanges import make_exchange


def test_held_once() -> None:
    exchange = make_exchange(body=b"{}", content_type="application/json")
    stage = KeepBody()
    stage.check(exchange)
    exchange.body = b""  # as `route` leaves it when the stages run again
    stage.check(exchange)
    assert exchange.sent == Held(b"{}", 2)
    assert stage.needs_body and stage.rules == ()
