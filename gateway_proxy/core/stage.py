"""One rule of the pipeline."""

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

from gateway_proxy.core.exchange import Exchange


@runtime_checkable
class Stage(Protocol):
    """Decides without I/O: returns to let the exchange pass, raises `Denied` to refuse it.

    A stage with `needs_body` runs after the body was read; the others run on the head alone.
    Anything else that it raises refuses the exchange too.
    """

    @property
    def name(self) -> str: ...
    @property
    def needs_body(self) -> bool: ...
    def check(self, exchange: Exchange, /) -> None: ...


@runtime_checkable
class WaitingStage(Protocol):
    """The same for a rule that must wait. A pipeline tells them apart by `check` itself, which is a coroutine function; one that
    waits only sometimes, and returns None else, has a member `may_wait`."""

    @property
    def name(self) -> str: ...
    @property
    def needs_body(self) -> bool: ...
    def check(self, exchange: Exchange, /) -> Awaitable[None] | None: ...
