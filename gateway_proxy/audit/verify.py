"""Whether an audit log is as it was written. Changes nothing; may run beside the writer.

Finds every edit, swap and removal of lines, and a log that ends before the head that was reported elsewhere. A last line
without its line feed is one that is being written, and does not count.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from gateway_proxy.audit.chain import Head, is_sealed, take_apart
from gateway_proxy.audit.read import read_lines

_LINES_PER_TURN = 500
_PAUSE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fault` is empty for a log that is whole; else it stands at `file`, line `line` (0: the file as such)."""

    entries: int
    head: Head
    fault: str = ""
    file: Path | None = None
    line: int = 0

    @property
    def ok(self) -> bool:
        return not self.fault

    def __str__(self) -> str:
        if self.ok:
            return f"{self.entries} entries, all as they were written"
        return f"{self.file}:{self.line}: {self.fault}"


def verify(folder: Path, key: bytes, reported: Head | None = None, *, gently: bool = False) -> Verdict:
    """Check a whole log against the last head that was reported of it, up to the first fault.

    `gently` leaves the interpreter to other threads now and then. Raises OSError for a file that cannot be read.
    """
    head, entries, last_place = Head(), 0, (folder, 0)
    wanted = reported or Head()
    for file, number, text in read_lines(folder):
        last_place = (file, number)
        line = take_apart(text.removesuffix(b"\n"))
        fault = ""
        if line is None or not text.endswith(b"\n"):
            fault = "this is not a line of the log"
        elif not is_sealed(key, line):
            fault = "this line was changed, or was not written by this gateway"
        elif line.seq != head.seq + 1:
            fault = f"line {head.seq + 1} should stand here, but it is line {line.seq}: {_explain(head.seq, line.seq)}"
        elif line.previous != head.mac:
            fault = "this line does not follow the line before it"
        elif line.seq == wanted.seq and line.mac != wanted.mac:
            fault = "the head that was reported for this line is another one"
        if line is None or fault:
            return Verdict(entries, head, fault, file, number)
        head, entries = Head(line.seq, line.mac), entries + 1
        if gently and not entries % _LINES_PER_TURN:
            time.sleep(_PAUSE_SECONDS)
    if head.seq < wanted.seq:
        fault = f"the log ends at line {head.seq}, but line {wanted.seq} was reported: the end was cut off"
        return Verdict(entries, head, fault, *last_place)
    return Verdict(entries, head)


def _explain(last: int, seq: int) -> str:
    return "lines are missing before it" if seq > last + 1 else "lines were moved or repeated"
