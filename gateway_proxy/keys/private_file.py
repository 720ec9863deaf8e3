"""Files that only their owner may read: written whole or not at all, and on the disk when a function returns.

Every function raises OSError as the system reports it.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def create_private_file(path: Path, text: str) -> None:
    """Write a new file; one that another process created first is left as it is."""
    with _draft(path, text) as draft, contextlib.suppress(FileExistsError):
        # A link fails where the name is taken: unlike a rename it never replaces another's file.
        os.link(draft, path)


def replace_private_file(path: Path, text: str) -> None:
    """Write the file, in place of what is there."""
    with _draft(path, text) as draft:
        os.replace(draft, path)


@contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
