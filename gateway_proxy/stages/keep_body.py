"""Holds on to what the client sent, for the log. In the pipeline only where the settings have bodies kept; refuses nothing."""

from typing import ClassVar

from gateway_proxy.core.body_text import hold
from gateway_proxy.core.exchange import Exchange


class KeepBody:
    """Comes before the body is parsed and forgotten."""

    name: ClassVar[str] = "keep_body"
    rules: ClassVar[tuple[str, ...]] = ()
    needs_body: ClassVar[bool] = True

    def check(self, exchange: Exchange) -> None:
        if exchange.sent is None:  # else the stages run again
            exchange.sent = hold(exchange.body, exchange.content_type)
