"""What an exchange used, and what that costs.

Token classes are disjoint by construction; rates are integers in nano-USD per million units; a cost is the
exact sum over the classes, rounded up once.
"""

from dataclasses import dataclass, field, fields
from enum import StrEnum

MILLION = 1_000_000


class UsageSource(StrEnum):
    """Where the numbers of a ledger row come from."""

    PROVIDER = "provider"  # the provider's own usage, never replaced
    PARTIAL = "partial"  # the answer broke off or carried no usage after content was seen
    ESTIMATED = "estimated"  # nothing usable was seen: the bound, or the input estimate, stands in
    NONE = "none"  # nothing was accepted upstream, so nothing is owed


@dataclass(slots=True)
class Usage:
    """Units used by one attempt; every field a count of its own, none contained in another.

    Audio tokens count as audio even where they came from a cache; image and video tokens as input or output.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    requests: int = 0
    images: int = 0
    millis: int = 0  # of audio or video
    characters: int = 0
    searches: int = 0

    def tokens(self) -> int:
        """All tokens, in and out: what a tokens/min bucket counts."""
        return (
            self.input + self.cached_input + self.cache_write + self.cache_write_1h + self.audio_input
            + self.output + self.reasoning + self.audio_output
        )  # fmt: skip

    def input_tokens(self) -> int:
        return self.input + self.cached_input + self.cache_write + self.cache_write_1h + self.audio_input

    def output_tokens(self) -> int:
        return self.output + self.reasoning + self.audio_output


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-USD per million units, one per class of `Usage`, with where they come from."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_output: int = 0
    requests: int = 0
    images: int = 0
    seconds: int = 0
    characters: int = 0
    searches: int = 0
    source: str = ""
    version: str = ""

    def cost_nanos(self, usage: Usage) -> int:
        """The exact cost, rounded up once."""
        # Most requests use two or three classes: the rest is skipped, class by class.
        sum_micro = usage.input * self.input + usage.output * self.output
        if usage.cached_input:
            sum_micro += usage.cached_input * self.cached_input
        if usage.cache_write:
            sum_micro += usage.cache_write * self.cache_write
        if usage.cache_write_1h:
            sum_micro += usage.cache_write_1h * self.cache_write_1h
        if usage.reasoning:
            sum_micro += usage.reasoning * self.reasoning
        if usage.audio_input:
            sum_micro += usage.audio_input * self.audio_input
        if usage.audio_output:
            sum_micro += usage.audio_output * self.audio_output
        if usage.requests:
            sum_micro += usage.requests * self.requests
        if usage.images:
            sum_micro += usage.images * self.images
        if usage.characters:
            sum_micro += usage.characters * self.characters
        if usage.searches:
            sum_micro += usage.searches * self.searches
        if usage.millis and self.seconds:
            return -(-(sum_micro * 1000 + usage.millis * self.seconds) // (MILLION * 1000))
        return -(-sum_micro // MILLION)

    def dearest_input(self, *, audio: bool) -> int:
        """The highest rate that an input token could be billed at; `audio` says whether it could be sound."""
        text = max(self.input, self.cached_input, self.cache_write, self.cache_write_1h)
        return max(text, self.audio_input) if audio else text

    def dearest_output(self) -> int:
        """The highest rate that an output token could be billed at."""
        return max(self.output, self.reasoning, self.audio_output)


RATE_CLASSES = tuple(f.name for f in fields(Rates) if f.name not in ("source", "version"))
"""The fields of `Rates` that are rates, in order."""


@dataclass(slots=True)
class Ceiling:
    """The highest rates of a price: what nothing can cost more than. Never changed once made."""

    rates: Rates
    is_free: bool
    requests: int
    text_input: int
    any_input: int
    output: int


@dataclass(frozen=True, slots=True)
class Price:
    """All rates of one target: the base, tiers by input size, variants by service tier.

    A tier reprices the whole request once its input exceeds `above_input_tokens`. `variants` maps a
    service tier as the provider names it in its answer (`flex`, `priority`, …) to that tier's price list.
    """

    base: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()  # (above_input_tokens, rates), ascending
    variants: tuple[tuple[str, "Price"], ...] = ()
    _dearest: Rates | None = field(default=None, init=False, repr=False, compare=False)
    _ceiling: "Ceiling | None" = field(default=None, init=False, repr=False, compare=False)

    def rates_for(self, input_tokens: int, service_tier: str | None = None) -> Rates:
        """The rates that a request with this much input and this service tier is billed at."""
        if service_tier is not None and self.variants:
            for name, variant in self.variants:
                if name == service_tier:
                    return variant.rates_for(input_tokens)
        rates = self.base
        for above, tier in self.tiers:
            if input_tokens > above:
                rates = tier
        return rates

    def dearest(self) -> Rates:
        """Class by class the highest rate over all tiers and variants: what a bound is computed with."""
        if self._dearest is None:
            every = self._all_rates()
            highest = {name: max(getattr(rates, name) for rates in every) for name in RATE_CLASSES}
            rates = Rates(**highest, source=self.base.source, version=self.base.version)
            object.__setattr__(self, "_dearest", rates)  # kept: each request under a budget asks
            return rates
        return self._dearest

    def ceiling(self) -> "Ceiling":
        """`dearest` in the form that a bound needs; made once."""
        if self._ceiling is None:
            dearest = self.dearest()
            ceiling = Ceiling(
                dearest,
                not any(getattr(dearest, name) for name in RATE_CLASSES),
                dearest.requests,
                dearest.dearest_input(audio=False),
                dearest.dearest_input(audio=True),
                dearest.dearest_output(),
            )
            object.__setattr__(self, "_ceiling", ceiling)
            return ceiling
        return self._ceiling

    def is_free(self) -> bool:
        """Whether nothing of this target costs anything."""
        return self.ceiling().is_free

    def _all_rates(self) -> list[Rates]:
        every = [self.base, *(rates for _, rates in self.tiers)]
        for _, variant in self.variants:
            every.extend(variant._all_rates())
        return every
