"""Tells the server how leases end, behind the requests: nothing here is waited for, and nothing is forgotten.

Each end is owed until the server has confirmed it, and told again on a new connection; repeating it does no harm. What
falls due in one turn of the event loop (a charge and the slot of the same exchange) goes as one command.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.shared.leases import Finish, Leases, SharedLease
from gateway_proxy.shared.link import Refused
from gateway_proxy.shared.names import MINUTE_US, SEPARATOR
from gateway_proxy.shared.resp import Disconnected, Reply
from gateway_proxy.shared.server import Lost, Server
from gateway_proxy.shared.view import View

log = logging.getLogger("gateway_proxy.shared")


class Ending:
    """Of one process."""

    def __init__(self, server: Server, view: View, clock: Clock) -> None:
        self.leases = Leases()
        self.on_events: Callable[[], None] = lambda: None  # an alert was reached
        self.knows_keys = False  # until then every key may have a budget
        self._server = server
        self._view = view
        self._clock = clock
        self._due: dict[str, Finish] = {}  # of this turn, by the lease's name
        self._leaving_due: set[str] = set()
        self._stale: dict[tuple[str, str], None] = {}  # (root, key id): the counter must be loaded anew
        self._refused: dict[Finish, None] = {}  # owed, and the server would not have it

    # What the limiter calls

    def settle(self, lease: SharedLease, charged: int, unasked: Iterable[str]) -> None:
        """Replace what is reserved by what was charged."""
        held = self.leases.settle(lease, charged, unasked)
        finish = self._finish(lease.name, lease.root)
        finish.charged, finish.admitted_at = charged, lease.admitted_at
        finish.budgets = [(key_id, lease.labels.get(key_id, "")) for key_id in held.amounts]

    def release(
        self, lease: SharedLease, slots: tuple[str, ...], buckets: Sequence[tuple[Claim, int]]
    ) -> None:
        """Give slots back, and put units back into buckets (negative: take)."""
        finish = self._finish(lease.name, lease.root)
        finish.slots += slots
        finish.buckets += buckets

    def undo(self, claims: Sequence[Claim], name: str, root: str, *, is_certain: bool) -> None:
        """Nobody uses what was granted; without certainty, what may have been granted."""
        finish = self._finish(name, root)
        if any(claim.meter is Meter.NANOS for claim in claims):
            finish.charged, finish.admitted_at = 0, self._server.now_ms()
            finish.budgets = [(c.key_id, "") for c in claims if c.meter is Meter.NANOS]
        finish.slots += tuple(c.key_id for c in claims if c.meter is Meter.PARALLEL)
        if is_certain:
            finish.buckets += [(c, c.amount) for c in claims if c.meter in (Meter.REQUESTS, Meter.TOKENS)]

    def debit(self, root: str, claim: Claim, units: int) -> None:
        """Take units that were granted without the server, of what was last heard to be in the bucket."""
        finish = self._finish(f"{self._server.part}{SEPARATOR}-debit-{claim.meter}-{claim.key_id}", root)
        known = self._view.bucket(claim.meter, claim.key_id)
        if known is not None:
            finish.levels[len(finish.buckets)] = known.available(self._clock.monotonic_ns()) * MINUTE_US
        finish.buckets.append((claim, -units))

    # What the books call

    def take_written(self, rows: Sequence[LedgerRow]) -> None:
        """These rows are in the ledger: their leases may go. What no lease told of makes the counter be loaded anew."""
        for row in rows:
            name = f"{self._server.part}{SEPARATOR}{row.request_id}{SEPARATOR}{row.attempt}"
            if self.leases.book(name) or not row.charged_nanos:
                continue
            self._invalidate(row)
        self._tell_leaving()

    def take_recovered(self, rows: Sequence[LedgerRow]) -> None:
        """These rows of earlier processes are in the ledger. Their leases count until they are dropped; what was not reserved
        no counter has heard of."""
        for row in rows:
            if row.charged_nanos > row.reserved_nanos:
                self._invalidate(row)

    def _invalidate(self, row: LedgerRow) -> None:
        root = row.parent_id or row.key_id
        for key_id in {row.key_id, root}:
            if not self.knows_keys or self._view.has_budget(key_id):
                self.invalidate(root, key_id)

    def invalidate(self, root: str, key_id: str) -> None:
        """Have the budget's counter loaded from the ledger before it is used again."""
        self._stale[root, key_id] = None
        self._view.unlearn(key_id)
        self._tell_stale(root, key_id)

    # Connections and epochs

    def repeat(self) -> None:
        """On a new connection under the same epoch: all that is owed, once more. Corrections of buckets are not."""
        for root, key_id in list(self._stale):
            self._tell_stale(root, key_id)
        self._refused.clear()
        for finish in list(self.leases.owed):
            self._send(finish)
        self._tell_leaving()

    def tell_refused(self) -> None:
        """The server takes commands: those that it refused on this connection (no memory, no disk), once more."""
        refused, self._refused = self._refused, {}
        for finish in refused:
            if finish in self.leases.owed:
                self._send(finish)
        for root, key_id in list(self._stale):
            self._tell_stale(root, key_id)
        self._tell_leaving()

    def hand_over(self) -> None:
        """Under a new epoch: the server was told how each lease stands now, and no counter is loaded there."""
        self.leases.owed.clear()
        for name, held in list(self.leases.held.items()):
            if held.charged is not None:
                self.leases.confirm(name)
        for root, key_id in list(self._stale):
            self._tell_stale(root, key_id)
        self._tell_leaving()

    @property
    def is_idle(self) -> bool:
        """Whether the server knows all, and holds nothing of this process."""
        leases = self.leases
        return not (leases.held or leases.slots or leases.owed or leases.leaving or self._stale or self._due)

    # Inside

    def _finish(self, name: str, root: str) -> Finish:
        finish = self._due.get(name)
        if finish is None:
            if not self._due:
                asyncio.get_running_loop().call_soon(self._flush)
            finish = self._due[name] = Finish(name, root)
        return finish

    def _flush(self) -> None:
        due, self._due = self._due, {}
        for finish in due.values():
            self.leases.owed[finish] = None
            self._send(finish)

    def _send(self, finish: Finish) -> None:
        server = self._server
        if server.names is None:
            return
        buckets, levels = finish.buckets, finish.levels
        try:
            server.tell_form(
                partial(self._confirm, finish),
                server.forms.find_finish(finish),
                finish.name,
                "" if finish.charged is None else str(finish.charged),
                str(finish.admitted_at),
                ",".join([str(units) for _, units in buckets]),
                ",".join([str(levels.get(place, "-")) for place in range(len(buckets))]) if levels else "",
            )
        except Disconnected:
            return
        finish.buckets = []  # whether they arrive or not: once more would be too much

    def _confirm(self, finish: Finish, reply: Reply) -> None:
        if reply is None:
            return  # the connection broke: it stays owed
        try:
            self._server.examine(reply)
        except (Refused, Lost) as error:
            if isinstance(error, Lost):
                return
            if "NOSCRIPT" in str(error):
                self._send(finish)
                return
            log.error("the shared counters did not take an end: %s", error)
            self._refused[finish] = None
            return
        self.leases.owed.pop(finish, None)
        if finish.charged is None:
            return
        for at, (key_id, label) in enumerate(finish.budgets):
            spent, reserved = reply[3 + 2 * at : 5 + 2 * at]
            if spent and label:
                self._view.hear_budget(key_id, label, int(spent), int(reserved))
        if self._view.events:
            self.on_events()
        if finish.name not in self.leases.held:
            self.leases.leaving[finish.name] = finish.root  # it was undone
        self.leases.confirm(finish.name)
        self._tell_leaving()

    def _tell_leaving(self) -> None:
        """One command a root, for all that may go."""
        names = self._server.names
        fresh = [name for name in self.leases.leaving if name not in self._leaving_due]
        if names is None or not fresh:
            return
        roots: dict[str, list[str]] = {}
        for name in fresh:
            roots.setdefault(self.leases.leaving[name], []).append(name)
        for root, leaving in roots.items():
            try:
                self._server.link.tell(
                    ("HDEL", names.entries(root), *leaving), partial(self._forget, leaving)
                )
            except Disconnected:
                return
            self._leaving_due.update(leaving)

    def _forget(self, names: list[str], reply: Reply) -> None:
        self._leaving_due.difference_update(names)
        if isinstance(reply, int):
            for name in names:
                self.leases.leaving.pop(name, None)

    def _tell_stale(self, root: str, key_id: str) -> None:
        names = self._server.names
        if names is None:
            return
        try:
            self._server.link.tell(("DEL", names.budget(root, key_id)), partial(self._refresh, root, key_id))
        except Disconnected:
            return

    def _refresh(self, root: str, key_id: str, reply: Reply) -> None:
        if isinstance(reply, int):
            self._stale.pop((root, key_id), None)
