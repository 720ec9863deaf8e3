"""The books as the data plane sees them: intents and settles into the spool, rows and events to the writer, and all
that has ended to the tally."""

from collections.abc import Callable
from typing import Protocol

from gateway_proxy.app.refusals import RefusalBound
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ids import new_id
from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.money import format_usd
from gateway_proxy.keys.directory import KeyDirectory
from gateway_proxy.ledger.writer import BooksWriter
from gateway_proxy.limits.budget import BudgetEvent
from gateway_proxy.telemetry.tally import Tally


class Alarming(Protocol):
    """Whoever notices that a budget has reached a threshold."""

    @property
    def events(self) -> list[BudgetEvent]: ...
    def take_events(self) -> list[BudgetEvent]: ...


class GatewayBooks:
    """Never raises and never waits."""

    def __init__(
        self, writer: BooksWriter, limiter: Alarming, directory: KeyDirectory, clock: Clock, tally: Tally
    ) -> None:
        self.log_requests = True
        self.unlogged_refusals = 0
        self._writer = writer
        self._note_request = tally.note_request
        self._note_attempt = tally.note_attempt
        self.intent = writer.intent
        self._keep_settled: Callable[[LedgerRow], None] = writer.settle
        self._keep_log: Callable[[LogRow], None] = writer.log
        self._limiter = limiter
        self._directory = directory
        self._clock = clock
        self._refusals = RefusalBound(clock)

    @property
    def healthy(self) -> bool:
        return self._writer.healthy

    def share(self, tee: Callable[[LogRow | LedgerRow], None] | None, *, keep_logs: bool) -> None:
        """Give each row to `tee` as well. Log rows that are made for it alone are not kept (`keep_logs`)."""
        writer = self._writer
        self._keep_settled, self._keep_log = writer.settle, writer.log
        self.log_requests = keep_logs or tee is not None
        if tee is None:
            return

        def settle(row: LedgerRow) -> None:
            writer.settle(row)
            tee(row)

        def log(row: LogRow) -> None:
            if keep_logs:
                writer.log(row)
            tee(row)

        self._keep_settled, self._keep_log = settle, log

    def settle(self, row: LedgerRow, /) -> None:
        self._keep_settled(row)
        self._note_attempt(row)
        if self._limiter.events:
            self.collect_events()

    def log(self, row: LogRow, /) -> bool:
        """Whether the row is kept. Refusals that never reached a provider are rate-bounded, so that a flood of them cannot fill the store."""
        self._note_request(row)
        if not self.log_requests:
            return False
        if not row.admitted and not self._refusals.admits():
            self.unlogged_refusals += 1
            return False
        self._keep_log(row)
        return True

    def collect_events(self) -> None:
        """Hand the limiter's new events to the writer; the keys that they name must be in the directory."""
        for event in self._limiter.take_events():
            self._writer.event(self._describe(event))

    def _describe(self, event: BudgetEvent) -> EventRow:
        key = self._directory.key(event.key_id)
        return EventRow(
            id=new_id("evt"),
            type=event.kind,
            at=self._clock.now_ms(),
            organization="" if key is None else key.organization,
            key_id=event.key_id,
            dedupe=event.dedupe,
            data={
                "key_id": event.key_id,
                "key_name": "" if key is None else key.name,
                "owner": "" if key is None else key.owner,
                "percent": event.percent,
                "period": event.period,
                "limit_usd": format_usd(event.limit_nanos),
                "spent_usd": format_usd(event.spent_nanos),
            },
        )
