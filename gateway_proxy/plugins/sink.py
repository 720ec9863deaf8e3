"""What a plugin's sink is: somebody who is given the finished rows, long after the client has its answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from gateway_proxy.core.ledger import LedgerRow, LogRow


@dataclass(frozen=True, slots=True)
class Rows:
    """One batch. `logs` are requests, refusals included (rate-bounded); `ledger` are attempts at providers."""

    logs: Sequence[LogRow]
    ledger: Sequence[LedgerRow]


class Sink(ABC):
    """Made as a stage is (see `stage`), used by one thread of its own: it may block, and cannot hold up a request.

    The ledger in the store is the truth: rows are dropped, and counted in the log, when a sink cannot keep up or
    fails three times on the same batch, and those of the last moments are lost with the process.
    """

    @abstractmethod
    def write(self, rows: Rows, /) -> None:
        """Take one batch. After an exception the same batch comes again, twice at most."""

    def close(self) -> None:  # noqa: B027 - nothing need be closed
        """Called once, after the last batch, in the same thread."""
