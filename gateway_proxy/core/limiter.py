"""Claims on counters, acquired all or nothing and settled later with the truth.

Data and the protocol; `limits/` does the arithmetic.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from gateway_proxy.core.key import BudgetPeriod, Key


class Meter(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"
    PARALLEL = "parallel"
    NANOS = "nanos"


REFUSAL_ORDER = {Meter.PARALLEL: 0, Meter.REQUESTS: 1, Meter.TOKENS: 2, Meter.NANOS: 3}
"""Of several claims that do not fit, the first in this order is told."""


@dataclass(frozen=True, slots=True)
class BucketRule:
    """A token bucket: `capacity` units, refilled with `per_minute` units in 60 s."""

    per_minute: int
    capacity: int


@dataclass(frozen=True, slots=True)
class SlotsRule:
    """At most `limit` at once."""

    limit: int


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """At most `limit_nanos` per period, spent and reserved together."""

    limit_nanos: int
    period: BudgetPeriod
    timezone: str


Rule = BucketRule | SlotsRule | BudgetRule


@dataclass(slots=True)
class Claim:
    """A wish on one counter. `key_id` and `meter` are the counter's identity.

    Never changed once made; not frozen, because that would make building one five times as slow. `make_claim` is
    for those that are made for each request.
    """

    key_id: str
    meter: Meter
    rule: Rule
    amount: int


_new = object.__new__


def make_claim(key_id: str, meter: Meter, rule: Rule, amount: int) -> Claim:
    """The same at half the cost of calling the class."""
    claim = _new(Claim)
    claim.key_id, claim.meter, claim.rule, claim.amount = key_id, meter, rule, amount
    return claim


@dataclass(slots=True, eq=False)
class Lease:
    """Granted claims. Money and the rest are settled exactly once each; settling again does nothing."""

    claims: tuple[Claim, ...]
    admitted_at: int  # Unix milliseconds
    period: str = ""  # of the first budget claim, e.g. "month:2026-11-01T00:00:00Z"
    owes_money: bool = True  # until settle_nanos
    holds_slots: bool = True  # until release


def bucket_rule(key: Key, meter: Meter) -> BucketRule | None:
    """The bucket of a key for REQUESTS or TOKENS, None without that limit.

    `burst` is the capacity of the requests bucket; of the tokens bucket only where requests are not limited, since
    no number is a sensible capacity of both.
    """
    limit, burst = key.requests_per_minute, key.burst
    if meter is Meter.TOKENS:
        burst = burst if limit is None else None
        limit = key.tokens_per_minute
    return None if limit is None else BucketRule(limit, limit if burst is None else burst)


def slots_rule(key: Key) -> SlotsRule | None:
    return None if key.max_parallel_requests is None else SlotsRule(key.max_parallel_requests)


def budget_rule(key: Key) -> BudgetRule | None:
    if key.budget_nanos is None:
        return None
    return BudgetRule(key.budget_nanos, key.budget_period, key.budget_timezone)


class CounterUnknown(Exception):
    """What this key has spent in the period is not known (yet), so its budget cannot be judged: fail closed.

    Nothing of the acquisition remains. The caller answers 503 `budget_unverifiable` and has the counter rebuilt.
    """

    def __init__(self, key_id: str) -> None:
        super().__init__(f"the budget counter of {key_id} is not loaded")
        self.key_id = key_id


class LimitExceeded(Exception):
    """A claim was refused; nothing of the acquisition remains.

    `available` is what the counter could grant now (buckets and budgets: may be negative), `retry_after_ms`
    when the same claim could pass, None if it never can.
    """

    def __init__(
        self,
        claim: Claim,
        *,
        available: int,
        retry_after_ms: int | None,
        budget: "BudgetState | None" = None,
        first_refusal: bool = False,
    ) -> None:
        super().__init__(f"{claim.meter} exhausted")
        self.claim = claim
        self.available = available
        self.retry_after_ms = retry_after_ms
        self.budget = budget
        self.first_refusal = first_refusal


class BudgetState(NamedTuple):
    """A budget now, in nano-USD; `resets_at` in Unix milliseconds, None for a total budget."""

    limit_nanos: int
    spent_nanos: int
    reserved_nanos: int
    resets_at: int | None
    period: str

    @property
    def remaining_nanos(self) -> int:
        return max(0, self.limit_nanos - self.spent_nanos - self.reserved_nanos)


Remainder = tuple[int, int, int, int, int | None]
"""What is left of a key's own limits: whole requests and the milliseconds until their bucket is full, tokens likewise, and
nano-USD. 0 without such a bucket; None without a budget, and while its counter is not known."""


class BucketState(NamedTuple):
    """A bucket now: whole units left (never below 0) and the time until it is full."""

    limit: int
    remaining: int
    reset_ms: int


class Counters(Protocol):
    """What every limiter has, whether acquiring waits or not: the counters of one gateway, or of several."""

    def probe(self, claim: Claim, /, *, announce: bool = False) -> LimitExceeded | CounterUnknown | None:
        """What acquiring this claim alone would raise now, and nothing is taken.

        With `announce` a refusal for budget counts as one where alerts are concerned.
        """
        ...

    def settle_nanos(self, lease: Lease, charged_nanos: int, /) -> None:
        """Replace the reserved money by what was charged, in the period of the admission."""
        ...

    def release(self, lease: Lease, used_tokens: int | None, /) -> None:
        """Give the slot back and correct the tokens bucket (None: keep what was reserved)."""
        ...

    def budget_state(self, key: Key, /) -> BudgetState | None:
        """None when the key has no budget. Raises CounterUnknown when it has one that is not loaded."""
        ...

    def bucket_state(self, key_id: str, meter: Meter, rule: BucketRule, /) -> BucketState:
        """The key's bucket for REQUESTS or TOKENS under this rule."""
        ...

    def find_remainder(
        self, key: Key, requests: BucketRule | None, tokens: BucketRule | None, /
    ) -> Remainder:
        """The three at once, as each answer of a key tells them."""
        ...


def gather_remainder(
    counters: Counters, key: Key, requests: BucketRule | None, tokens: BucketRule | None
) -> Remainder:
    """What `Counters.find_remainder` returns, asked one by one."""
    requests_left = requests_ms = tokens_left = tokens_ms = 0
    if requests is not None:
        _, requests_left, requests_ms = counters.bucket_state(key.id, Meter.REQUESTS, requests)
    if tokens is not None:
        _, tokens_left, tokens_ms = counters.bucket_state(key.id, Meter.TOKENS, tokens)
    try:
        budget = counters.budget_state(key)
    except CounterUnknown:
        budget = None
    return (
        requests_left,
        requests_ms,
        tokens_left,
        tokens_ms,
        None if budget is None else budget.remaining_nanos,
    )


class Limiter(Counters, Protocol):
    """Decides at once."""

    def acquire(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> Lease:
        """All of them or none.

        `key_ids` are the keys that will be charged (a token and its parent), claims or not: a budget that is
        set while the exchange runs must still see its charge. Without it the keys of the claims stand in.
        Raises LimitExceeded for the first claim that does not fit, in the order parallel, requests, tokens,
        budget; CounterUnknown for a budget whose spend is not loaded.
        """
        ...


@runtime_checkable
class WaitingLimiter(Counters, Protocol):
    """Has to ask elsewhere. What it tells without waiting is what it last heard."""

    async def acquire(
        self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = (), name: str = ""
    ) -> Lease:
        """As `Limiter.acquire`. `name` is request id~attempt, by which the ledger knows what the lease pays for."""
        ...

    async def look(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> None:
        """Hear how the counters of these claims stand; nothing is taken, and what cannot be heard stays as it was."""
        ...
