"""What can be called: providers, models and their targets, as the data plane sees them.

Plain values; `routing/` builds them from the settings and the price table, once per revision.
"""

from dataclasses import dataclass, field

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
    answer_tokens: int | None = (
        None  # max_output_tokens if the settings name it; it may be a mere window otherwise
    )
