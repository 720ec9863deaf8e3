"""The counters of one gateway, in memory: acquired all or none, settled once.

Everything here is synchronous, and so atomic in the event loop. Two things are the caller's: a charge is
settled in the same step in which its row is handed to the books, and budgets are loaded before they are used:

    jobs = limiter.begin_rebuilds(keys)        # in the same step as the books' cut
    sums = await ...                           # the store's sums over [job.window for job in jobs]
    limiter.finish_rebuild(job, sum) for each  # then the key's new policy may be used

No storage here, and no idea of what a request is.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from zoneinfo import ZoneInfoNotFoundError

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import (
    REFUSAL_ORDER,
    BucketRule,
    BucketState,
    BudgetState,
    Claim,
    CounterUnknown,
    Lease,
    LimitExceeded,
    Meter,
)
from gateway_proxy.limits.arithmetic import Bucket
from gateway_proxy.limits.budget import Account, BudgetEvent, Rebuild, Spend
from gateway_proxy.limits.refusals import describe_budget, refuse_bucket, refuse_budget, refuse_slots

log = logging.getLogger("gateway_proxy.limits")

SWEEP_STEP = 2000

REQUESTS, TOKENS, PARALLEL, NANOS = Meter.REQUESTS, Meter.TOKENS, Meter.PARALLEL, Meter.NANOS
# A fraction of the cost of a named tuple's own constructor: states are made for every answer.
_new_tuple = tuple.__new__


@dataclass(slots=True, eq=False)
class MemoryLease(Lease):
    """A lease with the accounts that it holds money of, and the keys that are charged."""

    key_ids: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()


class MemoryLimiter:
    """See the module. `overshoots` counts charges above their proven bound; `events` wait to be taken."""

    def __init__(self, clock: Clock) -> None:
        self._monotonic_ns = clock.monotonic_ns
        self._now_ms = clock.now_ms
        self._requests: dict[str, Bucket] = {}
        self._tokens: dict[str, Bucket] = {}
        self._parallel: dict[str, int] = {}
        self._accounts: dict[str, Account] = {}
        self.events: list[BudgetEvent] = []
        self._changed: set[str] = set()
        self._sweep: Iterator[tuple[dict[str, Bucket], str]] = iter(())
        self.overshoots = 0

    # Acquire

    def acquire(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> MemoryLease:
        """All of the claims or none; see core.limiter.Limiter.acquire."""
        now_ns = self._monotonic_ns()
        lease = MemoryLease(claims, self._now_ms(), "", True, True, key_ids)
        for index, claim in enumerate(claims):
            # Most claims are on buckets that exist: they are taken without a further call.
            meter = claim.meter
            if meter is REQUESTS:
                bucket = self._requests.get(claim.key_id)
            elif meter is TOKENS:
                bucket = self._tokens.get(claim.key_id)
            else:
                bucket = None
            if bucket is None or bucket.rule is not claim.rule:
                taken = self._take(claim, lease, now_ns)
            else:
                taken = bucket.take(claim.amount, now_ns)
            if not taken:
                self._undo(claims[:index], lease, now_ns)
                self._refuse(claims, lease, now_ns)
        return lease

    def _take(self, claim: Claim, lease: MemoryLease, now_ns: int) -> bool:
        meter, key_id = claim.meter, claim.key_id
        rule: Any = claim.rule
        if meter is PARALLEL:
            used = self._parallel.get(key_id, 0) + claim.amount
            if used > rule.limit:
                return False
            self._parallel[key_id] = used
            return True
        if meter is NANOS:
            return self._reserve(claim, lease)
        return self._bucket(claim, now_ns).take(claim.amount, now_ns)

    def _reserve(self, claim: Claim, lease: MemoryLease) -> bool:
        spend = self._spend(claim, lease.admitted_at)
        if spend is None:
            return False
        amount = claim.amount
        rule: Any = claim.rule
        if amount and spend.spent + spend.reserved + amount > rule.limit_nanos:
            return False
        key_id = claim.key_id
        account = self._accounts[key_id]
        account.reserve(lease, amount, spend)
        if not lease.accounts:
            lease.accounts = (account,)
        elif account not in lease.accounts:
            lease.accounts += (account,)
        if not lease.period:
            lease.period = spend.label
        self._changed.add(key_id)
        return True

    def _bucket(self, claim: Claim, now_ns: int) -> Bucket:
        buckets = self._requests if claim.meter is REQUESTS else self._tokens
        bucket = buckets.get(claim.key_id)
        rule: Any = claim.rule
        if bucket is None:
            bucket = buckets[claim.key_id] = Bucket(rule, now_ns)
        elif rule is not bucket.rule:
            bucket.change(rule, now_ns)
        return bucket

    def _spend(self, claim: Claim, now_ms: int) -> Spend | None:
        """The counter for a budget claim; None while it is unknown."""
        account = self._accounts.get(claim.key_id)
        if account is None or (track := account.track) is None:
            return None
        rule: Any = claim.rule
        if (rule.period is not track.period or rule.timezone != track.timezone) and account.former != (
            rule.period,
            rule.timezone,
        ):
            return None  # neither the rule in force nor the one before it, which a running request may still hold
        return track.at(now_ms)

    def _undo(self, claims: tuple[Claim, ...], lease: MemoryLease, now_ns: int) -> None:
        for claim in claims:
            if claim.meter is PARALLEL:
                self._free_slots(claim)
            elif claim.meter is not NANOS:
                self._bucket(claim, now_ns).give(claim.amount, now_ns)
        for account in lease.accounts:
            account.settle(lease, 0)
        lease.accounts = ()

    def _free_slots(self, claim: Claim) -> None:
        left = self._parallel.get(claim.key_id, 0) - claim.amount
        if left > 0:
            self._parallel[claim.key_id] = left
        else:
            self._parallel.pop(claim.key_id, None)

    # Refuse

    def _refuse(self, claims: tuple[Claim, ...], lease: MemoryLease, now_ns: int) -> None:
        """Find the refusal that ranks first, undo the rest, and raise it."""
        ordered = tuple(sorted(claims, key=lambda claim: REFUSAL_ORDER[claim.meter]))
        for index, claim in enumerate(ordered):
            if not self._take(claim, lease, now_ns):
                error = self._explain(claim, lease.admitted_at, now_ns)
                self._undo(ordered[:index], lease, now_ns)
                raise error

    def probe(self, claim: Claim, /, *, announce: bool = False) -> LimitExceeded | CounterUnknown | None:
        """Why the claim could not be acquired now; see core.limiter.Limiter.probe."""
        now_ns, now_ms = self._monotonic_ns(), self._now_ms()
        rule: Any = claim.rule
        if claim.meter is PARALLEL:
            fits = self._parallel.get(claim.key_id, 0) + claim.amount <= rule.limit
        elif claim.meter is NANOS:
            spend, amount = self._spend(claim, now_ms), claim.amount
            fits = spend is not None and (
                not amount or spend.spent + spend.reserved + amount <= rule.limit_nanos
            )
        else:
            fits = self._bucket(claim, now_ns).fits(claim.amount, now_ns)
        return None if fits else self._explain(claim, now_ms, now_ns, announce=announce)

    def _explain(
        self, claim: Claim, now_ms: int, now_ns: int, *, announce: bool = True
    ) -> LimitExceeded | CounterUnknown:
        if claim.meter is PARALLEL:
            return refuse_slots(claim, self._parallel.get(claim.key_id, 0))
        if claim.meter is not NANOS:
            return refuse_bucket(claim, self._bucket(claim, now_ns), now_ns)
        spend = self._spend(claim, now_ms)
        if spend is None:
            return CounterUnknown(claim.key_id)
        notice = self._accounts[claim.key_id].notice_refusal if announce else None
        return refuse_budget(claim, spend, now_ms, notice)

    # Settle

    def settle_nanos(self, lease: Lease, charged_nanos: int, /) -> None:
        """Book what was charged, once; a negative charge counts as 0, one above the bound is booked in full."""
        if not lease.owes_money:
            return
        lease.owes_money = False
        assert isinstance(lease, MemoryLease)
        if charged_nanos < 0:
            log.error("a negative charge of %d nano-USD was refused and counts as 0", charged_nanos)
            charged_nanos = 0
        for account in lease.accounts:
            reserved = account.settle(lease, charged_nanos)
            self._changed.add(account.key_id)
            if charged_nanos > reserved:
                self.overshoots += 1
                log.error(
                    "key %s was charged %d nano-USD where %d was the proven bound: the provider's usage exceeds"
                    " what was asked for",
                    account.key_id,
                    charged_nanos,
                    reserved,
                )
        for key_id in lease.key_ids or {claim.key_id for claim in lease.claims}:
            unclaimed = self._accounts.get(key_id)
            if unclaimed is not None and unclaimed not in lease.accounts:
                unclaimed.settle(lease, charged_nanos)

    def release(self, lease: Lease, used_tokens: int | None, /) -> None:
        """Give the slots back and correct the tokens, once."""
        if not lease.holds_slots:
            return
        lease.holds_slots = False
        for claim in lease.claims:
            meter = claim.meter
            if meter is PARALLEL:
                self._free_slots(claim)
            elif meter is TOKENS and used_tokens is not None and used_tokens != claim.amount:
                now_ns = self._monotonic_ns()
                bucket = self._tokens.get(claim.key_id)
                if bucket is None:
                    bucket = self._bucket(claim, now_ns)
                bucket.give(claim.amount - used_tokens, now_ns)

    # Budgets: load, rebuild, edit

    def needs_rebuild(self, key: Key) -> bool:
        """Whether the key has a budget whose counter is missing, unknown, or of another period or time zone."""
        if key.budget_nanos is None:
            return False
        account = self._accounts.get(key.id)
        if account is None or account.track is None:
            return True
        track = account.track
        if (track.period, track.timezone) != (key.budget_period, key.budget_timezone):
            return True
        return track.at(self._now_ms()) is None

    def begin_rebuilds(self, keys: Iterable[Key]) -> list[Rebuild]:
        """Start a counter for each budgeted key; from this instant on its settlements are counted.

        Until `finish_rebuild` the old counter, if there is one, stays in force. A key whose time zone this
        machine does not know is left out and logged: its claims raise CounterUnknown.
        """
        now_ms = self._now_ms()
        jobs = []
        for key in keys:
            if key.budget_nanos is None:
                continue
            try:
                account = self._accounts.setdefault(key.id, Account(key.id, self.events))
                jobs.append(account.begin(key, now_ms))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                log.exception("key %s: budget time zone %r is not known here", key.id, key.budget_timezone)
        return jobs

    def finish_rebuild(self, job: Rebuild, sum_nanos: int) -> bool:
        """Put the counter in force with what the store had at the cut; False if a later rebuild voided it."""
        if self._accounts.get(job.account.key_id) is not job.account:
            return False
        self._changed.add(job.account.key_id)
        return job.account.finish(job, sum_nanos)

    def update(self, key: Key) -> None:
        """Take limit and thresholds of an edited key; without a budget its counter is dropped."""
        account = self._accounts.get(key.id)
        if account is None:
            return
        if key.budget_nanos is not None:
            account.adopt(key)
            return
        account.track = account.pending = account.former = None
        if not account.live:
            del self._accounts[key.id]

    def forget(self, key_id: str) -> None:
        """Drop the counters of a deleted key; its leases may still be settled."""
        for counters in (self._requests, self._tokens, self._parallel, self._accounts):
            cast("dict[str, object]", counters).pop(key_id, None)
        self._changed.discard(key_id)

    def sweep(self, step: int = SWEEP_STEP) -> None:
        """Drop buckets that are full again; looks at `step` of them per call, so that nobody waits."""
        now_ns = self._monotonic_ns()
        for _ in range(step):
            entry = next(self._sweep, None)
            if entry is None:
                every = (self._requests, self._tokens)
                self._sweep = iter([(buckets, key_id) for buckets in every for key_id in buckets])
                return
            buckets, key_id = entry
            if (bucket := buckets.get(key_id)) is not None and bucket.is_full(now_ns):
                del buckets[key_id]

    # Look

    def take_events(self) -> list[BudgetEvent]:
        """The budget events since the last call."""
        events = self.events[:]
        self.events.clear()
        return events

    def take_reserved(self) -> dict[str, int]:
        """Key id → nano-USD reserved now, of the keys where it may have changed since the last call."""
        changed, self._changed = self._changed, set()
        accounts = [self._accounts[key_id] for key_id in changed if key_id in self._accounts]
        return {a.key_id: a.track.current.reserved for a in accounts if a.track is not None}

    def budget_state(self, key: Key, /) -> BudgetState | None:
        """None when the key has no budget. Raises CounterUnknown when it has one that is not loaded."""
        if key.budget_nanos is None:
            return None
        account = self._accounts.get(key.id)
        if account is None or account.track is None:
            raise CounterUnknown(key.id)
        spend = account.track.at(self._now_ms())
        if spend is None:
            raise CounterUnknown(key.id)
        return describe_budget(spend, key.budget_nanos)

    def bucket_state(self, key_id: str, meter: Meter, rule: BucketRule, /) -> BucketState:
        """The bucket under this rule. The limit is the units per minute."""
        bucket = (self._requests if meter is REQUESTS else self._tokens).get(key_id)
        if bucket is None:
            return BucketState(rule.per_minute, rule.capacity if rule.per_minute else 0, 0)
        remaining, reset_ms = bucket.state(self._monotonic_ns())
        if bucket.rule is not rule and remaining > rule.capacity:
            remaining = rule.capacity  # edited, and nobody has come since
        return _new_tuple(BucketState, (rule.per_minute, remaining, reset_ms))

    def bucket_of(self, claim: Claim) -> Bucket:
        """The bucket that the claim is on, under its rule."""
        return self._bucket(claim, self._monotonic_ns())

    def slots_used(self, key_id: str) -> int:
        """How many exchanges of the key hold a slot now; 0 for a key without that limit."""
        return self._parallel.get(key_id, 0)

    def counters(self) -> Sequence[int]:
        """How many request buckets, token buckets, slot counters and budget accounts are held."""
        return len(self._requests), len(self._tokens), len(self._parallel), len(self._accounts)
