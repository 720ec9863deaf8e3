"""What a dialect understood of a request: the body, parsed once, and what policy needs to know of it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway_proxy.core.kept import Kept
from gateway_proxy.core.usage import Usage


@dataclass(slots=True)
class InputBound:
    """What is proven about the input, apart from the model's own limits.

    `tokens` holds for text alone. With `opaque` (image, audio, file parts, stored context) only the model's
    `max_input_tokens` bounds it. `units` are counted units known beforehand (images, characters, searches).
    `unbounded` says why no bound exists at all.
    """

    tokens: int = 0
    opaque: bool = False
    units: Usage | None = None
    unbounded: str | None = None


@dataclass(slots=True)
class Route:
    """One request, understood. `body` is the only copy that may leave: it is re-serialised for the upstream."""

    operation: str  # the endpoint's name in a key's scope: chat, completions, responses, embeddings, …
    path: str  # what is appended to the provider's base URL, e.g. "/chat/completions"
    model: str  # canonical name as asked for
    stream: bool = False
    body: Any = None  # dict for JSON; the dialect's own multipart form otherwise
    body_bytes: int = 0  # UTF-8 bytes of the body as it will be sent, before our edits
    choices: int = 1  # n
    max_output_tokens: int | None = None  # the client's own maximum per choice
    wants_output_cap: bool = False  # the operation generates tokens and takes a maximum
    strip_usage: bool = False  # we asked for the usage chunk, the client did not
    service_tier: str | None = None
    bound: InputBound = field(default_factory=InputBound)
    encoded: bytes = b""  # `body` serialised, until an attempt takes it; empty: to be serialised again
    as_array: bool = False  # the stream comes as one JSON array, with no room for comments and events of ours
    free: bool = False  # costs nothing and generates nothing: it is counted as a request and no more
    kept: Kept | None = None  # names what a provider keeps, or has it keep the answer


class Bound(NamedTuple):
    """The proven upper bound of one attempt, in units and in money."""

    input_tokens: int
    output_tokens: int  # over all choices, reasoning included
    nanos: int
