"""What this process holds of the shared counters, and what it still owes the server: the truth of its own leases.

The server's copy can be made anew from here at any time. A lease with money stays on both sides until the row of its
attempt is in the ledger: whoever sums the ledger up leaves out the rows of the leases that the server knows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gateway_proxy.core.limiter import Claim, Lease
from gateway_proxy.limits.memory import MemoryLease


@dataclass(slots=True, eq=False)
class SharedLease(Lease):
    """`money` is key id → nano-USD reserved; `windows` key id → label; `local` what a local share granted instead."""

    name: str = ""
    root: str = ""
    key_ids: tuple[str, ...] = ()
    money: dict[str, int] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    local: MemoryLease | None = None


@dataclass(slots=True)
class Held:
    """Money of one lease on the server."""

    root: str
    admitted_at: int
    amounts: dict[str, int]  # key id → nano-USD; 0 for a key that is charged without having been asked
    charged: int | None = None
    is_told: bool = False  # the server has confirmed the charge
    is_booked: bool = False  # the row is in the ledger

    def describe(self) -> str:
        """As an entry on the server."""
        held = ",".join(f"{key_id}={amount}" for key_id, amount in self.amounts.items())
        return f"{self.admitted_at};{'-' if self.charged is None else self.charged};{held}"

    @property
    def is_done(self) -> bool:
        """Whether the server may forget it."""
        return self.is_told and self.is_in_ledger

    @property
    def is_in_ledger(self) -> bool:
        """Whether the ledger alone says it all: a charge of nothing is the same with and without its row."""
        return self.charged is not None and (self.is_booked or self.charged == 0)


@dataclass(slots=True, eq=False)
class Finish:
    """An end that the server has to hear of. `buckets`: claims, and how many units to put back (negative: take)."""

    name: str
    root: str
    charged: int | None = None
    admitted_at: int = 0
    budgets: list[tuple[str, str]] = field(default_factory=list)  # key id, label
    slots: tuple[str, ...] = ()  # key ids
    buckets: list[tuple[Claim, int]] = field(default_factory=list)
    levels: dict[int, int] = field(
        default_factory=dict
    )  # of buckets that the server may not hold, by their place


class Leases:
    """Of one process."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self.slots: dict[str, tuple[str, tuple[str, ...]]] = {}  # name → root, key ids
        self.owed: dict[Finish, None] = {}  # not confirmed; in the order in which they were told
        self.leaving: dict[str, str] = {}  # name → root: may be forgotten, not confirmed

    def settle(self, lease: SharedLease, charged: int, unasked: Iterable[str]) -> Held:
        """Note the charge; `unasked` are keys that are charged without a claim of theirs."""
        held = self.held.get(lease.name)
        if held is None:
            held = self.held[lease.name] = Held(lease.root, lease.admitted_at, {})
        for key_id in unasked:
            held.amounts.setdefault(key_id, 0)
        held.charged, held.is_told = charged, False
        return held

    def confirm(self, name: str) -> None:
        """The server has the charge."""
        held = self.held.get(name)
        if held is not None:
            held.is_told = True
            self._leave_if_done(name, held)

    def book(self, name: str) -> bool:
        """The row is in the ledger. Whether there was such a lease."""
        held = self.held.get(name)
        if held is None:
            return name in self.leaving
        held.is_booked = True
        self._leave_if_done(name, held)
        return True

    def _leave_if_done(self, name: str, held: Held) -> None:
        if held.is_done:
            del self.held[name]
            self.leaving[name] = held.root

    def by_root(self) -> Iterator[tuple[str, dict[str, str], dict[str, list[str]]]]:
        """For a new epoch: root, its entries by name, and the names of leases that hold slots of each of its keys."""
        roots: dict[str, tuple[dict[str, str], dict[str, list[str]]]] = {}
        for name, held in self.held.items():
            roots.setdefault(held.root, ({}, {}))[0][name] = held.describe()
        for name, (root, key_ids) in self.slots.items():
            for key_id in key_ids:
                roots.setdefault(root, ({}, {}))[1].setdefault(key_id, []).append(name)
        for root, (entries, slots) in roots.items():
            yield root, entries, slots
