"""A chat answer without a wire format: whole, or as the events of a stream.

Usage is not part of it: the tap of the provider's dialect reads that from the provider's own bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson

from gateway_proxy.core.usage import Usage
from gateway_proxy.dialects.neutral.request import Call, Text, Thinking


class Unreadable(ValueError):
    """A provider's answer is not what its dialect says it is."""


def read_event(data: bytes) -> dict[str, Any]:
    """The object in an event's data. Raises Unreadable."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Unreadable("an event that is not JSON") from None
    if type(value) is not dict:
        raise Unreadable("an event that is not an object")
    return value


class Stop(NamedTuple):
    """Why the model stopped: `stop`, `sequence` (with which one), `length`, `calls` or `refused`."""

    reason: str
    sequence: str | None = None


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    id: str
    model: str
    parts: list[Text | Call | Thinking]
    stop: Stop


class Begin(NamedTuple):
    """The first event."""

    id: str
    model: str


class TextDelta(NamedTuple):
    text: str


class ThinkingDelta(NamedTuple):
    text: str


class ThinkingSigned(NamedTuple):
    """Ends the thoughts before it; `redacted`: these thoughts are hidden."""

    signature: str
    redacted: str = ""


class CallBegin(NamedTuple):
    """`number` counts the calls of this answer."""

    number: int
    id: str
    name: str
    signature: str = ""


class CallDelta(NamedTuple):
    """A further piece of the arguments' JSON."""

    number: int
    text: str


class Finish(NamedTuple):
    """The model has stopped; nothing but `End` follows."""

    stop: Stop


class End(NamedTuple):
    """The provider's own end marker: the usage is known by now, if it ever is."""


class Broke(NamedTuple):
    """An error event of the provider, in its words."""

    message: str
    code: str


Event = Begin | TextDelta | ThinkingDelta | ThinkingSigned | CallBegin | CallDelta | Finish | End | Broke


class StreamReader(Protocol):
    """One per stream of a provider."""

    def read(self, data: bytes, /) -> Iterable[Event]:
        """What the payload of one event says. Raises Unreadable."""
        ...


class StreamWriter(Protocol):
    """One per stream for a client."""

    def write(self, event: Event, /) -> bytes:
        """The bytes of this event, none if it has no counterpart. Not for `End` and `Broke`."""
        ...

    def end(self, usage: Usage | None, /) -> bytes:
        """The last events of a complete stream."""
        ...
