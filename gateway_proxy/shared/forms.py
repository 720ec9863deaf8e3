"""Script calls in RESP of which only some arguments differ from one to the next: the rest is written once and kept.

A key's limits stay the same for thousands of requests, and so do the names of its counters, their rules and periods. What
differs (a lease's name, amounts) stands in the middle of the command. See
https://redis.io/docs/latest/develop/reference/protocol-spec/.
"""

from collections.abc import Callable, Sequence
from typing import Any

from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.limits.periods import FAR_MS, Window
from gateway_proxy.shared.leases import Finish
from gateway_proxy.shared.names import EPOCH, Names, span_of
from gateway_proxy.shared.resp import Part
from gateway_proxy.shared.scripts import ACQUIRE, FINISH, Script

MOST_KEPT = 4096
_VARYING = 6  # arguments of either script
Windows = dict[str, Window]  # key id → the period of its budget


class Form:
    """A script call but for its varying arguments; `held` are the rules by which it was found, kept alive with it."""

    __slots__ = ("_head", "_tail", "held")

    def __init__(
        self, script: Script, keys: Sequence[str], first: Sequence[Part], last: Sequence[Part], held: Any
    ) -> None:
        """`first` and `last` are the arguments before and after those that differ."""
        head = ("EVALSHA", script.digest, len(keys), *keys, *first)
        count = len(head) + _VARYING + len(last)
        self._head = b"*%d\r\n" % count + b"".join(map(_write, head))
        self._tail = b"".join(map(_write, last))
        self.held = held

    def write(self, *varying: str) -> bytes:
        """The command; what varies is ASCII."""
        middle = "".join([f"${len(text)}\r\n{text}\r\n" for text in varying])
        return self._head + middle.encode("ascii") + self._tail


class AcquireForm(Form):
    """For claims on certain counters, in the order in which refusals rank. Varying: now, name of the lease, mode, dead
    parts, amounts, seeds."""

    __slots__ = ("from_ms", "has_twins", "until_ms", "windows")

    def __init__(
        self, first: Sequence[Part], names: Names, root: str, claims: Sequence[Claim], windows: Windows
    ) -> None:
        keys, last = [EPOCH, names.entries(root)], list[Part]()
        for claim in claims:
            keys.append(names.counter(root, claim))
            last += _describe(claim, windows)
        super().__init__(ACQUIRE, keys, first, last, [claim.rule for claim in claims])
        self.windows = windows
        self.has_twins = len({(claim.meter, claim.key_id) for claim in claims}) < len(claims)
        self.from_ms = max((window.start_ms for window in windows.values()), default=0)
        self.until_ms = min((window.end_ms or FAR_MS for window in windows.values()), default=FAR_MS)


class FinishForm(Form):
    """For the end of a lease on certain counters. Varying: now, name of the lease, nano-USD charged, time of admission,
    units to put back into each bucket, levels of buckets that the server may not hold."""

    __slots__ = ()

    def __init__(self, first: Sequence[Part], names: Names, finish: Finish) -> None:
        root = finish.root
        keys = [EPOCH, names.entries(root)]
        last: list[Part] = [len(finish.budgets), len(finish.slots)]
        for key_id, label in finish.budgets:
            keys.append(names.budget(root, key_id))
            last += (key_id, label)
        keys += [names.slots(root, key_id) for key_id in finish.slots]
        for claim, _ in finish.buckets:
            keys.append(names.counter(root, claim))
            rule: Any = claim.rule
            last += (rule.per_minute, rule.capacity)
        super().__init__(FINISH, keys, first, last, [claim.rule for claim, _ in finish.buckets])


class Forms:
    """Those of one connection under one epoch."""

    def __init__(self) -> None:
        self._first: tuple[Part, ...] = ()
        self._names: Names | None = None
        self._acquire: dict[tuple[object, ...], AcquireForm] = {}
        self._finish: dict[tuple[object, ...], FinishForm] = {}

    def begin(self, names: Names, first: tuple[Part, ...]) -> None:
        """Another epoch, or another connection."""
        self._names, self._first = names, first
        self._acquire.clear()
        self._finish.clear()

    def find_acquire(
        self,
        claims: Sequence[Claim],
        root: str,
        now_ms: int,
        find_windows: Callable[[Sequence[Claim]], Windows],
    ) -> AcquireForm:
        """Raises what `find_windows` raises."""
        wanted: tuple[object, ...] = (
            root,
            *[part for claim in claims for part in (claim.key_id, claim.meter, id(claim.rule))],
        )
        form = self._acquire.get(wanted)
        if form is None or not form.from_ms <= now_ms < form.until_ms:
            assert self._names is not None
            if len(self._acquire) >= MOST_KEPT:
                self._acquire.clear()
            form = AcquireForm(self._first, self._names, root, claims, find_windows(claims))
            self._acquire[wanted] = form
        return form

    def find_finish(self, finish: Finish) -> FinishForm:
        wanted: tuple[object, ...] = (
            finish.root,
            *finish.budgets,
            finish.slots,
            *[part for claim, _ in finish.buckets for part in (claim.key_id, claim.meter, id(claim.rule))],
        )
        form = self._finish.get(wanted)
        if form is None:
            assert self._names is not None
            if len(self._finish) >= MOST_KEPT:
                self._finish.clear()
            form = self._finish[wanted] = FinishForm(self._first, self._names, finish)
        return form


def _describe(claim: Claim, windows: Windows) -> tuple[Part, ...]:
    """What acquire.lua is told of a claim, but for the amount."""
    rule: Any = claim.rule
    if claim.meter is Meter.NANOS:
        window = windows[claim.key_id]
        return "b", rule.limit_nanos, window.label, span_of(window), claim.key_id
    if claim.meter is Meter.PARALLEL:
        return "p", rule.limit, "", "", ""
    return "q", rule.per_minute, rule.capacity, "", ""


def _write(part: Part) -> bytes:
    data = part if isinstance(part, bytes) else str(part).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
