"""One rule of the pipeline."""

from typing import ClassVar, Protocol, runtime_checkable

from gateway_proxy.core.exchange import Exchange


@runtime_checkable
class Stage(Protocol):
    """Decides without I/O: returns to let the exchange pass, raises `Denied` to refuse it.

    A stage with `needs_body` runs after the body was read; the others run on the head alone.
    Anything else that it raises refuses the exchange too.
    """

    name: ClassVar[str]
    needs_body: ClassVar[bool]

    def check(self, exchange: Exchange, /) -> None: ...
