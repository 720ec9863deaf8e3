"""What can be called: providers, models and their targets, as the data plane sees them.

Plain values; `routing/` builds them from the settings and the price table, once per revision.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway_proxy.core.usage import Price


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a model: a provider and that provider's own name for it."""

    provider: str
    model: str
    weight: float = 1.0
    tier: int | None = None
    price: Price | None = None  # None: nobody told us, which is not the same as free
    context_tokens: int | None = None  # the window that the price table knows, if any
    max_parallel: int | None = None  # attempts at once


class Fallback(NamedTuple):
    """After which failures another target, or another try, may mend it."""

    connect_error: bool
    timeout: bool
    statuses: frozenset[int]


USUAL_FALLBACK = Fallback(True, True, frozenset((408, 429, *range(500, 600))))


class Plan(NamedTuple):
    """How one of a tier is chosen, where weights alone do not.

    `sticky` names what requests are kept together by: "key", or a member of the body, such as "metadata.user_id"; the first
    one that a request has counts.
    """

    sticky: tuple[str, ...] = ()
    by_latency: bool = False


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A name that clients ask for."""

    name: str
    targets: tuple[Target, ...]
    retries: int = 1
    max_output_tokens: int | None = None
    max_input_tokens: int | None = None
    on_disconnect: str = "auto"  # cancel | drain | auto
    declared: bool = False  # has a [[models]] table of its own
    owned_by: str = field(default="")
    fallback: Fallback = USUAL_FALLBACK
    plan: Plan | None = None  # None: by weight
    answer_tokens: int | None = (
        None  # max_output_tokens if the settings name it; it may be a mere window otherwise
    )
