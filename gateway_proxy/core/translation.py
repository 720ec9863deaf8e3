"""A request in one dialect for a provider of another: what stages and relay need of a translation."""

from typing import TYPE_CHECKING, Protocol

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Payload, UsageTap
from gateway_proxy.core.route import Route
from gateway_proxy.core.usage import Usage

if TYPE_CHECKING:
    from gateway_proxy.core.exchange import Exchange


class Translated(Protocol):
    """One request as one target shall see it, and the way back for its answer."""

    route: Route  # in the provider's dialect

    def encode(
        self, target: Target, output_cap: int | None, modern_cap_field: bool, /
    ) -> tuple[Payload, str, str]:
        """As `Dialect.encode`."""
        ...

    def adapt_head(self, upward: bytes, /) -> bytes:
        """The client's header lines, as far as they mean anything to this provider, and those that it needs."""
        ...

    def tap(self, streaming: bool, /) -> UsageTap:
        """A tap that reads the provider's bytes and, of a stream, hands on the client's."""
        ...

    def translate_answer(self, body: bytes, usage: Usage | None, /) -> bytes:
        """A whole answer for the client. Raises ValueError if it cannot be read."""
        ...

    def translate_error(self, status: int, body: bytes, /) -> bytes:
        """The provider's error in the client's shape; its words, if any can be found."""
        ...


class Translator(Protocol):
    """From one client dialect to the one of one provider."""

    def translate(self, exchange: "Exchange", target: Target, /) -> Translated:
        """Raises BadExchange for what cannot be expressed (not_translatable) or has the wrong type."""
        ...
