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
from typing import Any
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
    Remainder,
    gather_remainder,
)
from gateway_proxy.limits.arithmetic import Bucket
from gateway_proxy.limits.budget import Account, BudgetEvent, Rebuild, Spend
from gateway_proxy.limits.key_counters import KeyCounters
from gateway_proxy.limits.refusals import describe_budget, refuse_bucket, refuse_budget, refuse_slots

log = logging.getLogger("gateway_proxy.limits")

SWEEP_STEP = 2000

REQUESTS, TOKENS, PARALLEL, NANOS = Meter.REQUESTS, Meter.TOKENS, Meter.PARALLEL, Meter.NANOS
# A fraction of the cost of a named tuple's own constructor: states are made for every answer.
_new_tuple = tuple.__new__
# The same for a lease.
_new = object.__new__


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
        self._keys: dict[str, KeyCounters] = {}
        self.events: list[BudgetEvent] = []
        self._changed: set[str] = set()
        self._sweep: Iterator[str] = iter(())
        self.overshoots = 0

    # Acquire

    def acquire(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> MemoryLease:
        """All of the claims or none; see core.limiter.Limiter.acquire."""
        now_ns = self._monotonic_ns()
        lease = _new(MemoryLease)
        lease.claims, lease.key_ids, lease.admitted_at = claims, key_ids, self._now_ms()
        lease.period, lease.accounts = "", ()
        lease.owes_money = lease.holds_slots = True
        taken = self._take(claims, lease, now_ns)
        if taken < len(claims):
            self._undo(claims[:taken], lease, now_ns)
            self._refuse(claims, lease, now_ns)
        return lease

    def _take(self, claims: tuple[Claim, ...], lease: MemoryLease, now_ns: int) -> int:
        """Take the claims one by one until one does not fit; returns how many did."""
        key_id, rest = "", iter(claims)
        for claim in rest:
            if claim.key_id is not key_id:  # mostly all are of one key, and one look-up does
                key_id = claim.key_id
                counters = self._keys.get(key_id) or self._find(key_id)
            meter = claim.meter
            rule: Any = claim.rule
            if meter is PARALLEL:
                used = counters.slots + claim.amount
                if used > rule.limit:
                    break
                counters.slots = used
            elif meter is NANOS:
                account = counters.account
                if account is None or (spend := account.reserve(lease, claim.amount, rule)) is None:
                    break
                if not lease.accounts:
                    lease.accounts, lease.period = (account,), spend.label
                elif account not in lease.accounts:
                    lease.accounts += (account,)
                self._changed.add(key_id)
            else:
                bucket = counters.requests if meter is REQUESTS else counters.tokens
                if bucket is None or bucket.rule is not rule:
                    bucket = counters.bucket(meter, rule, now_ns)
                if not bucket.take(claim.amount, now_ns):
                    break
        else:
            return len(claims)
        return len(claims) - 1 - len(tuple(rest))

    def _find(self, key_id: str) -> KeyCounters:
        counters = self._keys.get(key_id)
        if counters is None:
            counters = self._keys[key_id] = KeyCounters()
        return counters

    def _account(self, key_id: str) -> Account | None:
        counters = self._keys.get(key_id)
        return None if counters is None else counters.account

    def _spend(self, claim: Claim, now_ms: int) -> Spend | None:
        """The counter for a budget claim; None while it is unknown."""
        account = self._account(claim.key_id)
        rule: Any = claim.rule
        return None if account is None else account.find(rule, now_ms)

    def _undo(self, claims: tuple[Claim, ...], lease: MemoryLease, now_ns: int) -> None:
        for claim in claims:
            if claim.meter is PARALLEL:
                self._find(claim.key_id).free(claim.amount)
            elif claim.meter is not NANOS:
                self._bucket(claim, now_ns).give(claim.amount, now_ns)
        for account in lease.accounts:
            account.settle(lease, 0)
        lease.accounts = ()

    def _bucket(self, claim: Claim, now_ns: int) -> Bucket:
        rule: Any = claim.rule
        return self._find(claim.key_id).bucket(claim.meter, rule, now_ns)

    # Refuse

    def _refuse(self, claims: tuple[Claim, ...], lease: MemoryLease, now_ns: int) -> None:
        """Find the refusal that ranks first, undo the rest, and raise it."""
        ordered = tuple(sorted(claims, key=lambda claim: REFUSAL_ORDER[claim.meter]))
        for index, claim in enumerate(ordered):
            if not self._take((claim,), lease, now_ns):
                error = self._explain(claim, lease.admitted_at, now_ns)
                self._undo(ordered[:index], lease, now_ns)
                raise error

    def probe(self, claim: Claim, /, *, announce: bool = False) -> LimitExceeded | CounterUnknown | None:
        """Why the claim could not be acquired now; see core.limiter.Limiter.probe."""
        now_ns, now_ms = self._monotonic_ns(), self._now_ms()
        rule: Any = claim.rule
        if claim.meter is PARALLEL:
            fits = self.slots_used(claim.key_id) + claim.amount <= rule.limit
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
            return refuse_slots(claim, self.slots_used(claim.key_id))
        if claim.meter is not NANOS:
            return refuse_bucket(claim, self._bucket(claim, now_ns), now_ns)
        spend = self._spend(claim, now_ms)
        account = self._account(claim.key_id)
        if spend is None or account is None:
            return CounterUnknown(claim.key_id)
        notice = account.notice_refusal if announce else None
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
        accounts = lease.accounts
        for account in accounts:
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
            counters = self._keys.get(key_id)
            if (
                counters is not None
                and (unclaimed := counters.account) is not None
                and unclaimed not in accounts
            ):
                unclaimed.settle(lease, charged_nanos)

    def release(self, lease: Lease, used_tokens: int | None, /) -> None:
        """Give the slots back and correct the tokens, once."""
        if not lease.holds_slots:
            return
        lease.holds_slots = False
        for claim in lease.claims:
            meter = claim.meter
            if meter is PARALLEL:
                counters = self._keys.get(claim.key_id)
                if counters is not None:
                    counters.free(claim.amount)
            elif meter is TOKENS and used_tokens is not None and (units := claim.amount - used_tokens):
                now_ns = self._monotonic_ns()
                counters = self._keys.get(claim.key_id)
                if counters is None or (bucket := counters.tokens) is None:
                    bucket = self._bucket(claim, now_ns)
                bucket.give(units, now_ns)

    # Budgets: load, rebuild, edit

    def needs_rebuild(self, key: Key) -> bool:
        """Whether the key has a budget whose counter is missing, unknown, or of another period or time zone."""
        if key.budget_nanos is None:
            return False
        account = self._account(key.id)
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
                counters = self._find(key.id)
                if counters.account is None:
                    counters.account = Account(key.id, self.events)
                jobs.append(counters.account.begin(key, now_ms))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                log.exception("key %s: budget time zone %r is not known here", key.id, key.budget_timezone)
        return jobs

    def finish_rebuild(self, job: Rebuild, sum_nanos: int) -> bool:
        """Put the counter in force with what the store had at the cut; False if a later rebuild voided it."""
        if self._account(job.account.key_id) is not job.account:
            return False
        self._changed.add(job.account.key_id)
        return job.account.finish(job, sum_nanos)

    def update(self, key: Key) -> None:
        """Take limit and thresholds of an edited key; without a budget its counter is dropped."""
        account = self._account(key.id)
        if account is None:
            return
        if key.budget_nanos is not None:
            account.adopt(key)
            return
        account.drop()
        if not account.live:
            self._keys[key.id].account = None

    def forget(self, key_id: str) -> None:
        """Drop the counters of a deleted key; its leases may still be settled."""
        self._keys.pop(key_id, None)
        self._changed.discard(key_id)

    def sweep(self, step: int = SWEEP_STEP) -> None:
        """Drop buckets that are full again; looks at `step` keys per call, so that nobody waits."""
        now_ns = self._monotonic_ns()
        for _ in range(step):
            key_id = next(self._sweep, None)
            if key_id is None:
                self._sweep = iter(list(self._keys))
                return
            if (counters := self._keys.get(key_id)) is not None and not counters.sweep(now_ns):
                del self._keys[key_id]

    # Look

    def take_events(self) -> list[BudgetEvent]:
        """The budget events since the last call."""
        events = self.events[:]
        self.events.clear()
        return events

    def take_reserved(self) -> dict[str, int]:
        """Key id → nano-USD reserved now, of the keys where it may have changed since the last call."""
        changed, self._changed = self._changed, set()
        accounts = [self._account(key_id) for key_id in changed]
        return {a.key_id: a.track.current.reserved for a in accounts if a is not None and a.track is not None}

    def budget_state(self, key: Key, /) -> BudgetState | None:
        """None when the key has no budget. Raises CounterUnknown when it has one that is not loaded."""
        if key.budget_nanos is None:
            return None
        account = self._account(key.id)
        if account is None or account.track is None:
            raise CounterUnknown(key.id)
        spend = account.track.at(self._now_ms())
        if spend is None:
            raise CounterUnknown(key.id)
        return describe_budget(spend, key.budget_nanos)

    def bucket_state(self, key_id: str, meter: Meter, rule: BucketRule, /) -> BucketState:
        """The bucket under this rule. The limit is the units per minute."""
        counters = self._keys.get(key_id)
        bucket = None if counters is None else counters.requests if meter is REQUESTS else counters.tokens
        if bucket is None:
            return BucketState(rule.per_minute, rule.capacity if rule.per_minute else 0, 0)
        remaining, reset_ms = bucket.state(self._monotonic_ns())
        if bucket.rule is not rule and remaining > rule.capacity:
            remaining = rule.capacity  # edited, and nobody has come since
        return _new_tuple(BucketState, (rule.per_minute, remaining, reset_ms))

    def find_remainder(
        self, key: Key, requests: BucketRule | None, tokens: BucketRule | None, /
    ) -> Remainder:
        """See core.limiter.Counters.find_remainder."""
        counters = self._keys.get(key.id)
        if counters is None:
            return gather_remainder(self, key, requests, tokens)
        requests_bucket, tokens_bucket, account = counters.requests, counters.tokens, counters.account
        now_ns = self._monotonic_ns()
        requests_left = requests_ms = tokens_left = tokens_ms = 0
        nanos = None
        if requests is not None:
            if requests_bucket is None or requests_bucket.rule is not requests:
                return gather_remainder(self, key, requests, tokens)
            requests_left, requests_ms = requests_bucket.state(now_ns)
        if tokens is not None:
            if tokens_bucket is None or tokens_bucket.rule is not tokens:
                return gather_remainder(self, key, requests, tokens)
            tokens_left, tokens_ms = tokens_bucket.state(now_ns)
        limit = key.budget_nanos
        if limit is not None and account is not None and account.track is not None:
            spend = account.track.at(self._now_ms())
            if spend is not None:
                nanos = limit - spend.spent - spend.reserved
                nanos = nanos if nanos > 0 else 0
        return requests_left, requests_ms, tokens_left, tokens_ms, nanos

    def bucket_of(self, claim: Claim) -> Bucket:
        """The bucket that the claim is on, under its rule."""
        return self._bucket(claim, self._monotonic_ns())

    def slots_used(self, key_id: str) -> int:
        """How many exchanges of the key hold a slot now; 0 for a key without that limit."""
        counters = self._keys.get(key_id)
        return 0 if counters is None else counters.slots

    def counters(self) -> Sequence[int]:
        """How many request buckets, token buckets, slot counters and budget accounts are held."""
        held = self._keys.values()
        requests, tokens = sum(c.requests is not None for c in held), sum(c.tokens is not None for c in held)
        return requests, tokens, sum(c.slots > 0 for c in held), sum(c.account is not None for c in held)
