"""The provider's own books: one JSON line when a request is accepted, one when it is billed.

Each line is one `os.write` on an O_APPEND descriptor, so a kill loses nothing that was said to have happened. Tokens only:
prices are not the provider's business here.
"""

import dataclasses
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson


@dataclasses.dataclass(slots=True)
class Entry:
    """One accepted request and, once `billed`, what it costs in tokens. Times are Unix milliseconds.

    `cached_tokens` is a part of `prompt_tokens`, `reasoning_tokens` of `completion_tokens`. `headers` holds the request's
    `x-…` headers, those that look like credentials as their last 4 characters. `units` counts what is not tokens
    (images, characters, seconds, searches). `tail_bytes` is the size of a stream's last events (see mode `cut`).
    """

    id: str
    at: int
    path: str = ""
    model: str = ""
    mode: str = "honest"
    stream: bool = False
    max_tokens: int | None = None
    body_bytes: int = 0
    request_id: str | None = None
    traceparent: str | None = None
    attempt: int | None = None
    authorization_last4: str | None = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    billed: bool = False
    billed_at: int | None = None
    outcome: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    tail_bytes: int = 0
    units: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Totals:
    """Sums over billed entries."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int


class Ledger:
    """The writing side. Raises OSError when the file cannot be opened or written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, event: str, fields: dict[str, Any]) -> None:
        """Write one line, stamped with the time."""
        line = orjson.dumps({"event": event, **fields, "at": time.time_ns() // 1_000_000}) + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(f"{self.path}: the ledger took only a part of a line; is the disk full?")

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


def read_ledger(path: Path | str) -> list[Entry]:
    """All accepted requests in order, joined with their bills. A torn last line (no newline yet) is left out.

    Raises OSError, and ValueError with the line number for a line that is not the ledger's.
    """
    entries: dict[str, Entry] = {}
    names = {field.name for field in dataclasses.fields(Entry)}
    for number, line in enumerate(Path(path).read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            fields = json.loads(line)
            event, at = fields.pop("event"), fields.pop("at")
            known = {name: value for name, value in fields.items() if name in names}
            if event == "accepted":
                entries[fields["id"]] = Entry(at=at, **known)
            elif event == "billed":
                _bill(entries[fields["id"]], at, known)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}:{number}: not a ledger line: {error!r}") from error
    return list(entries.values())


def _bill(entry: Entry, at: int, fields: dict[str, Any]) -> None:
    if entry.billed:
        raise ValueError(f"{entry.id} is billed twice")
    for name, value in fields.items():
        setattr(entry, name, value)
    entry.billed, entry.billed_at = True, at


def total_tokens(entries: Iterable[Entry]) -> Totals:
    """What the provider charges for: the sums over the billed entries."""
    billed = [entry for entry in entries if entry.billed]
    return Totals(
        requests=len(billed),
        prompt_tokens=sum(entry.prompt_tokens for entry in billed),
        completion_tokens=sum(entry.completion_tokens for entry in billed),
        cached_tokens=sum(entry.cached_tokens for entry in billed),
        reasoning_tokens=sum(entry.reasoning_tokens for entry in billed),
    )
