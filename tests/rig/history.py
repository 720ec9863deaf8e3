"""What clients and administrators of a fleet did and saw, as it was recorded, and what can be told from it afterwards.

Times are seconds of one monotonic clock. A history can be written to a file and judged later; judging looks at nothing
else.
"""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Change", "History", "Request"]


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One answered request; `status` 0 is no answer."""

    key: str
    gateway: int
    sent_at: float
    answered_at: float
    status: int
    code: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One act on a key that was answered: from then on requests of it are `allowed`, or refused."""

    key: str
    allowed: bool
    asked_at: float
    answered_at: float


@dataclasses.dataclass(slots=True)
class History:
    """In any order."""

    requests: list[Request] = dataclasses.field(default_factory=list)
    changes: list[Change] = dataclasses.field(default_factory=list)

    def write(self, path: Path) -> None:
        """One line an event."""
        with path.open("w", encoding="utf-8") as file:
            for kind, events in (("request", self.requests), ("change", self.changes)):
                for event in events:
                    file.write(json.dumps([kind, dataclasses.asdict(event)]) + "\n")

    @classmethod
    def read(cls, path: Path) -> "History":
        history = cls()
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, members = json.loads(line)
            if kind == "request":
                history.requests.append(Request(**members))
            else:
                history.changes.append(Change(**members))
        return history

    def find_lags(self) -> list[float]:
        """Of each change: how long after its answer a request was still sent that was served by the former state.

        Seconds, 0 where none was, in order of the changes. A request that was sent before the answer proves nothing.
        """
        by_key: dict[str, list[Request]] = defaultdict(list)
        for request in self.requests:
            by_key[request.key].append(request)
        ends = _find_ends(self.changes)
        return [
            max(
                (
                    request.sent_at - change.answered_at
                    for request in by_key[change.key]
                    if change.answered_at < request.sent_at
                    and request.answered_at < ends[change]
                    and _is_served(request) is not None
                    and _is_served(request) != change.allowed
                ),
                default=0.0,
            )
            for change in sorted(self.changes, key=lambda change: change.asked_at)
        ]

    def count_looks(self) -> list[int]:
        """Of each change: how many requests were sent and answered between its answer and the next change."""
        ends = _find_ends(self.changes)
        return [
            sum(
                change.answered_at < request.sent_at and request.answered_at < ends[change]
                for request in self.requests
                if request.key == change.key
            )
            for change in sorted(self.changes, key=lambda change: change.asked_at)
        ]


def _find_ends(changes: Iterable[Change]) -> dict[Change, float]:
    """When the next change of the same key was asked for."""
    ends: dict[Change, float] = {}
    last: dict[str, Change] = {}
    for change in sorted(changes, key=lambda change: change.asked_at):
        if change.key in last:
            ends[last[change.key]] = change.asked_at
        ends[change] = float("inf")
        last[change.key] = change
    return ends


def _is_served(request: Request) -> bool | None:
    """None for an answer that says nothing of the key's state."""
    if request.status == 200:
        return True
    return False if request.status == 401 else None
