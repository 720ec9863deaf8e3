"""What a plugin's stage is: a subclass of `Stage`, or of `AsyncStage` where it must wait.

The class is made once per revision of the settings, with the members of its table `[plugins.NAME]` as keyword
arguments; an argument it does not take, or a ValueError of its own, is a mistake in the settings. It is kept over
reloads that do not touch its settings. Making it must start nothing: `check` of the command line makes it too.
"""

from abc import ABC, abstractmethod

from gateway_proxy.plugins.exchange import Exchange


class Stage(ABC):
    """One more rule of the pipeline. It may refuse a request and do nothing else to it.

    `check` returns None to let the exchange pass and raises `Denied` to refuse it. Anything else that it raises or
    returns refuses the request too, with a 500 that says nothing and a line in the log. It runs in the gateway's event
    loop: it must not wait for anything.
    """

    @abstractmethod
    def check(self, exchange: Exchange, /) -> None: ...


class AsyncStage(ABC):
    """As `Stage`, for a rule that must ask somebody else. A slow answer refuses the request.

    It may stand before any stage up to `budget`: between `budget` and `admission` nothing may wait.
    """

    timeout_seconds: float = 5.0

    @abstractmethod
    async def check(self, exchange: Exchange, /) -> None: ...

    async def close(self) -> None:  # noqa: B027 - nothing need be closed
        """Called once, when no request uses it any more; what was opened by the first `check` ends here."""
