"""Reads an audit log as it stands, unverified. Changes nothing; may run beside the writer.

A last line without its line feed is one that is being written, and does not count.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

SUFFIX = ".jsonl"
MAX_LINE_BYTES = 1 << 24
_BLOCK_BYTES = 1 << 16


def list_files(folder: Path) -> list[Path]:
    """The files of a log in their order."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.stem.isascii() and path.stem.isdigit())


def read_lines(folder: Path) -> Iterator[tuple[Path, int, bytes]]:
    """(file, line number from 1, line with its line feed) of all lines but an unfinished last one. Raises OSError."""
    files = list_files(folder)
    for file in files:
        with file.open("rb") as lines:
            number = 0
            while text := lines.readline(MAX_LINE_BYTES):
                number += 1
                if text.endswith(b"\n") or file != files[-1]:
                    yield file, number, text


def parse_entry(text: bytes) -> dict[str, Any] | None:
    """The entry of a line; None if it is damaged."""
    try:
        entry = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("seq"), int) else None


class Tail:
    """The end of a log, and what comes after it. Every method raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Path | None = None
        self._offset = 0

    def last(self, count: int) -> list[dict[str, Any]]:
        """The last entries, oldest first; `news` goes on after them."""
        files = list_files(self._folder)
        lines: list[bytes] = []
        for file in reversed(files):
            found, end = _last_lines(file, count - len(lines))
            lines[:0] = found
            if file == files[-1]:
                self._file, self._offset = file, end
            if len(lines) >= count:
                break
        return _entries(lines)

    def news(self) -> list[dict[str, Any]]:
        """What was written since the last call."""
        lines: list[bytes] = []
        for file in list_files(self._folder):
            if self._file is not None and file.name < self._file.name:
                continue
            if file != self._file:
                self._file, self._offset = file, 0
            with file.open("rb") as data:
                data.seek(self._offset)
                text = data.read()
            whole = text.rfind(b"\n") + 1
            self._offset += whole
            lines += text[:whole].split(b"\n")[:-1]
        return _entries(lines)


def _last_lines(file: Path, count: int) -> tuple[list[bytes], int]:
    """The last finished lines, and where they end."""
    with file.open("rb") as data:
        size = start = data.seek(0, 2)
        text = b""
        # One line feed more than lines: what is before the first one may be half a line.
        while start > 0 and text.count(b"\n") <= count:
            length = min(start, max(_BLOCK_BYTES, len(text)))
            start -= length
            data.seek(start)
            text = data.read(length) + text
    end = text.rfind(b"\n") + 1
    lines = text[:end].split(b"\n")[:-1]
    return lines[-count:], size - (len(text) - end)


def _entries(lines: list[bytes]) -> list[dict[str, Any]]:
    return [entry for text in lines if (entry := parse_entry(text)) is not None]
