"""What can go wrong between us and a provider, told apart by what it means for money and for retries.

`request_sent` answers the one question settlement asks: may the provider have received any part of the
request? Messages name a phase, a host or a protocol rule; they never hold a header, a body or a credential.
Which error becomes which status code is not decided here.
"""

from typing import Literal

Phase = Literal["first_byte", "between_bytes"]


class UpstreamError(Exception):
    """An exchange with a provider that did not come to its true end."""

    request_sent: bool = True


class ConnectFailed(UpstreamError):
    """No usable connection: name not found, refused, TLS failure, proxy refusal, connect timeout.

    Nothing of the request has left, so nothing can have been accepted or billed.
    """

    request_sent = False

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class PoolExhausted(UpstreamError):
    """Every connection this provider may have is in use and none came free within the connect timeout."""

    request_sent = False


class UpstreamTimeout(UpstreamError):
    """The provider took the request and then stayed silent for longer than the phase allows."""

    def __init__(self, phase: Phase, limit_seconds: float) -> None:
        super().__init__(f"upstream was silent for more than {limit_seconds:g} s (phase {phase})")
        self.phase = phase


class UpstreamBroken(UpstreamError):
    """The answer is not a complete, valid HTTP/1.1 response: closed early, reset, truncated or malformed.

    `reused` is True when a warm connection died before a single byte of the answer came: then the provider
    most likely closed it while it was idle, although it may have received the request.
    """

    def __init__(self, reason: str, *, reused: bool = False) -> None:
        super().__init__(reason)
        self.reused = reused
