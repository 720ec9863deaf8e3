"""The limiter over counters that several gateways share: one round trip for all claims of an exchange.

What is given back or charged is told behind the requests. While the server does not answer in time, rates and slots are
granted from this gateway's part of each limit, and budgets are refused: no decision waits longer than DECISION_SECONDS.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.key import Key
from gateway_proxy.core.limiter import (
    REFUSAL_ORDER,
    BucketRule,
    BucketState,
    BudgetRule,
    BudgetState,
    Claim,
    CounterUnknown,
    Lease,
    LimitExceeded,
    Meter,
    Remainder,
    gather_remainder,
)
from gateway_proxy.limits.budget import BudgetEvent
from gateway_proxy.limits.memory import SWEEP_STEP
from gateway_proxy.limits.periods import Window, find_window
from gateway_proxy.limits.refusals import describe_budget, refuse_bucket, refuse_budget, refuse_slots
from gateway_proxy.shared.ending import Ending
from gateway_proxy.shared.forms import AcquireForm, Windows
from gateway_proxy.shared.leases import Held, SharedLease
from gateway_proxy.shared.link import Refused
from gateway_proxy.shared.loading import Loader, Wanted
from gateway_proxy.shared.local_share import LocalShare
from gateway_proxy.shared.names import MINUTE_US, SEPARATOR
from gateway_proxy.shared.resp import Disconnected, Reply, TooSlow
from gateway_proxy.shared.server import Lost, Server
from gateway_proxy.shared.tally import Decisions
from gateway_proxy.shared.view import View

log = logging.getLogger("gateway_proxy.shared")

DECISION_SECONDS = 0.045
MOST_TRIES = 4
REQUESTS, TOKENS, PARALLEL, NANOS = Meter.REQUESTS, Meter.TOKENS, Meter.PARALLEL, Meter.NANOS
_GRANTED, _REFUSED, _UNKNOWN, _OTHER_PERIOD = 1, 0, 2, 3
_FAULTS = (Disconnected, TooSlow, Refused, Lost)


class SharedLimiter:
    """`core.limiter.WaitingLimiter`. One per process, used from one event loop."""

    def __init__(self, server: Server, loader: Loader, view: View, ending: Ending, clock: Clock) -> None:
        self.decision_seconds = DECISION_SECONDS
        self._server = server
        self._loader = loader
        self._view = view
        self._ending = ending
        self._leases = ending.leases
        self._clock = clock
        self._numbers = itertools.count(1)
        self.seeds_until_ns = 0  # in a new epoch buckets begin with what was last heard of them
        self.dead = ""  # parts of gateways that are known to be gone, as the script takes them
        self.local = LocalShare(clock)
        self.decisions = Decisions()
        self.overshoots = 0

    async def acquire(
        self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = (), name: str = ""
    ) -> SharedLease:
        """All of the claims or none; see core.limiter.Limiter.acquire."""
        root = key_ids[-1] if key_ids else claims[0].key_id if claims else ""
        name = f"{self._server.part}{SEPARATOR}{name or f'-{next(self._numbers)}'}"
        lease = SharedLease(claims, 0, "", True, True, name, root, key_ids)
        if not claims:
            lease.admitted_at = self._server.now_ms()
            return lease
        ordered = tuple(sorted(claims, key=_rank)) if len(claims) > 1 else claims
        began_ns = self._clock.monotonic_ns()
        try:
            return await self._acquire(ordered, lease)
        except _FAULTS:
            return self._acquire_locally(ordered, lease)
        finally:
            self.decisions.note(self._clock.monotonic_ns() - began_ns)

    async def _acquire(self, ordered: tuple[Claim, ...], lease: SharedLease) -> SharedLease:
        server = self._server
        if not server.is_usable or (not server.is_ready and ordered[-1].meter is NANOS):
            raise Disconnected
        late = partial(self._take_back, ordered, lease)
        reply, form = await self._decide(ordered, lease.root, lease.name, "take", late)
        lease.admitted_at = reply[2]
        state = self._take_states(ordered, form, reply)
        if self.local.is_in_use:
            self.pay()
        if reply[0] == _REFUSED:
            raise self._explain(ordered[reply[3] - 1], state, announce=True)
        for claim in ordered:
            if claim.meter is NANOS:
                lease.money[claim.key_id] = lease.money.get(claim.key_id, 0) + claim.amount
                lease.labels[claim.key_id] = label = form.windows[claim.key_id].label
                lease.period = lease.period or label
            elif claim.meter is PARALLEL:
                _, slots = self._leases.slots.get(lease.name, (lease.root, ()))
                self._leases.slots[lease.name] = lease.root, (*slots, claim.key_id)
        if lease.money:
            self._leases.held[lease.name] = Held(lease.root, lease.admitted_at, dict(lease.money))
        return lease

    async def _decide(
        self,
        ordered: tuple[Claim, ...],
        root: str,
        name: str,
        mode: str,
        late: Callable[[Reply], None] | None,
    ) -> tuple[list[Any], AcquireForm]:
        """The server's verdict, 1 or 0. Budgets that it does not hold are loaded, within the time of the decision.

        Raises CounterUnknown, Disconnected, TooSlow, Refused, Lost.
        """
        server, loop = self._server, asyncio.get_running_loop()
        ends = loop.time() + self.decision_seconds
        amounts = ",".join([str(claim.amount) for claim in ordered])
        for _ in range(MOST_TRIES):
            left = ends - loop.time()
            if server.names is None or left <= 0:
                break
            form = server.forms.find_acquire(ordered, root, server.now_ms(), self._find_windows)
            seeds = self._list_seeds(ordered)
            reply = await server.ask_form(left, late, form, name, mode, self.dead, amounts, seeds)
            if reply[0] in (_GRANTED, _REFUSED):
                return reply, form
            claim = ordered[reply[3] - 1]
            if reply[0] == _UNKNOWN and not await self._load(
                Wanted(root, claim.key_id, form.windows[claim.key_id]), ends
            ):
                raise CounterUnknown(claim.key_id)
        raise CounterUnknown(ordered[-1].key_id)

    def _list_seeds(self, claims: Sequence[Claim]) -> str:
        """What each bucket begins with that the server does not hold, as acquire.lua takes it."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self.seeds_until_ns:
            return ""
        known = [self._view.bucket(claim.meter, claim.key_id) for claim in claims]
        return ",".join(
            ["-" if bucket is None else str(bucket.available(now_ns) * MINUTE_US) for bucket in known]
        )

    def pay(self) -> None:
        """Tell the server what was granted without it."""
        for debt in self.local.end():
            self._ending.debit(debt.root, debt.claim, debt.units)

    def seed(self, seconds: float) -> None:
        """For so long tell the server what was last heard of buckets that it does not hold."""
        self.seeds_until_ns = self._clock.monotonic_ns() + round(seconds * 1e9)

    async def _load(self, wanted: Wanted, ends: float) -> bool:
        left = ends - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait([self._loader.load(wanted)], timeout=max(0.0, left))
        return bool(done) and done.pop().result()

    def _find_windows(self, claims: Sequence[Claim]) -> Windows:
        return {
            claim.key_id: self._find_window(claim.key_id, claim.rule.period, claim.rule.timezone)
            for claim in claims
            if isinstance(claim.rule, BudgetRule)
        }

    def _find_window(self, key_id: str, period: Any, timezone: str) -> Window:
        try:
            return find_window(period, timezone, self._server.now_ms())
        except (ZoneInfoNotFoundError, ValueError, OSError):
            log.exception("key %s: budget time zone %r is not known here", key_id, timezone)
            raise CounterUnknown(key_id) from None

    def _acquire_locally(self, ordered: tuple[Claim, ...], lease: SharedLease) -> SharedLease:
        """This gateway's part of rates and slots. Raises CounterUnknown where money is asked for."""
        if ordered[-1].meter is NANOS:
            self.decisions.unverifiable += 1
            raise CounterUnknown(ordered[-1].key_id)
        self.decisions.local += 1
        lease.admitted_at = self._server.now_ms()
        lease.local = self.local.acquire(ordered, lease.root, self._view.bucket)
        return lease

    def _take_back(self, ordered: tuple[Claim, ...], lease: SharedLease, reply: Reply) -> None:
        """The verdict came when nobody waited for it any more, or (None) it is not known whether it came about."""
        if isinstance(reply, list) and reply[0] != _GRANTED:
            return
        if isinstance(reply, list) or reply is None:
            self._ending.undo(ordered, lease.name, lease.root, is_certain=reply is not None)

    # What the server told
    def _take_states(self, ordered: Sequence[Claim], form: AcquireForm, reply: list[Any]) -> Any:
        """Note how the counters stand now; returns what was found of the last that was looked at."""
        view, now_ns = self._view, self._clock.monotonic_ns()
        state: Any = None
        granted, at, known = reply[0] == _GRANTED, 4, len(reply)
        taken: dict[tuple[Meter, str], int] = {}
        for claim in ordered:
            if at >= known:
                break  # refused before this one was looked at
            meter, key_id = claim.meter, claim.key_id
            rule: Any = claim.rule
            amount = claim.amount if granted else 0
            if form.has_twins:
                amount = taken[meter, key_id] = taken.get((meter, key_id), 0) + amount
            if meter is NANOS:
                spent, reserved = int(reply[at]), int(reply[at + 1]) + amount
                state = view.take_budget(key_id, form.windows[key_id], spent, reserved)
                at += 2
                continue
            if meter is PARALLEL:
                state = reply[at] + amount
                view.take_slots(key_id, state)
            else:
                state = view.take_bucket(meter, key_id, rule, reply[at] - amount * MINUTE_US, now_ns)
            at += 1
        return state

    def _explain(self, claim: Claim, state: Any, *, announce: bool) -> LimitExceeded:
        if claim.meter is PARALLEL:
            return refuse_slots(claim, state)
        if claim.meter is not NANOS:
            return refuse_bucket(claim, state, self._clock.monotonic_ns())
        notice = self._view.notice_of(claim.key_id) if announce else None
        return refuse_budget(claim, state, self._server.now_ms(), notice)

    def settle_nanos(self, lease: Lease, charged_nanos: int, /) -> None:
        """Book what was charged, once; a negative charge counts as 0, one above the bound is booked in full."""
        if not lease.owes_money:
            return
        lease.owes_money = False
        assert isinstance(lease, SharedLease)
        if charged_nanos < 0:
            log.error("a negative charge of %d nano-USD was refused and counts as 0", charged_nanos)
            charged_nanos = 0
        for key_id, reserved in lease.money.items():
            if charged_nanos > reserved:
                self.overshoots += 1
                log.error(
                    "key %s was charged %d nano-USD where %d was the proven bound: the provider's usage exceeds"
                    " what was asked for",
                    key_id, charged_nanos, reserved,
                )  # fmt: skip
            self._view.add_money(key_id, lease.labels[key_id], charged_nanos, -reserved)
        unasked = []
        if charged_nanos:
            unasked = [k for k in lease.key_ids if k not in lease.money and self._view.has_budget(k)]
        if lease.money or unasked:
            self._ending.settle(lease, charged_nanos, unasked)

    def release(self, lease: Lease, used_tokens: int | None, /) -> None:
        """Give the slots back and correct the tokens, once."""
        if not lease.holds_slots:
            return
        lease.holds_slots = False
        assert isinstance(lease, SharedLease)
        if lease.local is not None:
            self.local.limiter.release(lease.local, used_tokens)
            return
        buckets = []
        for claim in lease.claims:
            if claim.meter is TOKENS and used_tokens is not None and used_tokens != claim.amount:
                units = claim.amount - used_tokens
                buckets.append((claim, units))
                bucket = self._view.bucket(TOKENS, claim.key_id)
                if bucket is not None:
                    bucket.give(units, self._clock.monotonic_ns())
        slots = self._leases.slots.pop(lease.name, None)
        for key_id in () if slots is None else slots[1]:
            self._view.take_slots(key_id, max(0, self._view.slots(key_id) - 1))
        if slots is not None or buckets:
            self._ending.release(lease, () if slots is None else slots[1], buckets)

    async def look(self, claims: tuple[Claim, ...], /, key_ids: tuple[str, ...] = ()) -> None:
        """Hear how the counters of these claims stand; what cannot be heard now stays as it was."""
        if not claims or not self._server.is_usable:
            return
        ordered = tuple(sorted(claims, key=_rank))
        if not self._server.is_ready:
            ordered = tuple(claim for claim in ordered if claim.meter is not NANOS)
        root = key_ids[-1] if key_ids else claims[0].key_id
        try:
            reply, windows = await self._decide(ordered, root, "", "look", None)
        except (*_FAULTS, CounterUnknown):
            return
        self._take_states(ordered, windows, [_REFUSED, *reply[1:]])

    async def ready(self, keys: Sequence[Key], timeout_seconds: float) -> None:
        """Have the budgets of these keys loaded before anybody asks; what is not loaded in time is when it is asked for."""
        wanted = []
        for key in keys:
            if key.budget_nanos is not None and self._server.is_ready:
                try:
                    window = self._find_window(key.id, key.budget_period, key.budget_timezone)
                except CounterUnknown:
                    continue
                wanted.append(self._loader.load(Wanted(key.parent_id or key.id, key.id, window)))
        if wanted:
            await asyncio.wait(wanted, timeout=timeout_seconds)

    def probe(self, claim: Claim, /, *, announce: bool = False) -> LimitExceeded | CounterUnknown | None:
        """Why the claim could not be acquired, as the counters stood when they were last heard of."""
        rule: Any = claim.rule
        now_ns = self._clock.monotonic_ns()
        if claim.meter is PARALLEL:
            used = self._view.slots(claim.key_id)
            return (
                None if used + claim.amount <= rule.limit else self._explain(claim, used, announce=announce)
            )
        if claim.meter is NANOS:
            spend = self._known_budget(claim.key_id, rule.period, rule.timezone)
            if spend is None:
                return CounterUnknown(claim.key_id)
            fits = not claim.amount or spend.spent + spend.reserved + claim.amount <= rule.limit_nanos
            return None if fits else self._explain(claim, spend, announce=announce)
        bucket = self._view.bucket(claim.meter, claim.key_id)
        if bucket is None:
            bucket = self._view.take_bucket(
                claim.meter, claim.key_id, rule, rule.capacity * MINUTE_US, now_ns
            )
        return None if bucket.fits(claim.amount, now_ns) else self._explain(claim, bucket, announce=announce)

    def _known_budget(self, key_id: str, period: Any, timezone: str) -> Any:
        spend = self._view.budget(key_id, self._server.now_ms()) if self._server.is_ready else None
        if spend is None or spend.label != self._find_window(key_id, period, timezone).label:
            return None
        return spend

    def budget_state(self, key: Key, /) -> BudgetState | None:
        """As last heard; see core.limiter.Counters.budget_state."""
        if key.budget_nanos is None:
            return None
        spend = self._known_budget(key.id, key.budget_period, key.budget_timezone)
        if spend is None:
            raise CounterUnknown(key.id)
        return describe_budget(spend, key.budget_nanos)

    def bucket_state(self, key_id: str, meter: Meter, rule: BucketRule, /) -> BucketState:
        """The bucket under this rule, as last heard and refilled since."""
        bucket = self._view.bucket(meter, key_id)
        if bucket is None:
            return BucketState(rule.per_minute, rule.capacity if rule.per_minute else 0, 0)
        remaining, reset_ms = bucket.state(self._clock.monotonic_ns())
        # A fraction of the cost of a named tuple's own constructor.
        return tuple.__new__(BucketState, (rule.per_minute, min(remaining, rule.capacity), reset_ms))

    def find_remainder(
        self, key: Key, requests: BucketRule | None, tokens: BucketRule | None, /
    ) -> Remainder:
        """As last heard; see core.limiter.Counters.find_remainder."""
        return gather_remainder(self, key, requests, tokens)

    def slots_used(self, key_id: str) -> int:
        """How many exchanges of the key hold a slot, as last heard."""
        return self._view.slots(key_id)

    def take_events(self) -> list[BudgetEvent]:
        """See View.take_events."""
        return self._view.take_events()

    @property
    def events(self) -> list[BudgetEvent]:
        """Those that wait to be taken."""
        return self._view.events

    def take_reserved(self) -> dict[str, int]:
        """See View.take_reserved."""
        return self._view.take_reserved()

    def forget(self, key_id: str) -> None:
        """Drop what was heard of a deleted key; its counters on the server expire."""
        self._view.forget(key_id)
        self.local.limiter.forget(key_id)

    def sweep(self) -> None:
        """Forget buckets that are full again."""
        self._view.sweep(SWEEP_STEP, self._clock.monotonic_ns())
        self.local.limiter.sweep()


def _rank(claim: Claim) -> int:
    return REFUSAL_ORDER[claim.meter]
