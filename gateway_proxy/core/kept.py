"""What providers keep between requests, and who may name it: plain records, no store.

An id that a provider gave to an answer, or to a part of one, belongs to the key whose request it answered, and leads back
to that provider.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway_proxy.core.catalog import Target


class Reference(NamedTuple):
    """An id that a request names.

    `soft`: what it names stands beside it, so a provider that keeps nothing needs no id. `shareable`: it may be of
    something that the operator put into the provider's account for everybody, such as a file.
    """

    id: str
    param: str
    soft: bool = False
    shareable: bool = False


class MadeId(NamedTuple):
    """An id, whose it is, and where it came from. `origin` stands for the provider's URL, `made_at` in Unix milliseconds."""

    id: str
    owner_id: str
    provider: str
    origin: str
    model: str
    target_model: str
    made_at: int


@dataclass(slots=True)
class Kept:
    """What one request has to do with kept things.

    `keeps`: the provider keeps the answer unless it is told not to; `demand` is the member by which the client insists on
    that. The ids in the answer of `target` are told to `note`, with whether they last.
    """

    references: list[Reference] = field(default_factory=list)
    keeps: bool = False
    demand: str = ""
    target: Target | None = None
    note: Callable[[Iterable[str], bool], None] | None = None
