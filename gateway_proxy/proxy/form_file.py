"""A form's body on disk: written while it comes, read as if it were in memory.

Promises that no file outlives the request or the process, and that writing never holds up the event loop. What the form
says is read by a dialect.
"""

import asyncio
import mmap
import os
import tempfile
from pathlib import Path

from gateway_proxy.core.errors import Unavailable

FORM_BYTES = 1_048_576
"""Forms beyond this size go to disk."""


class FormFile:
    """Takes chunks; at the end the whole is a memory map, whose pages the system may take back."""

    def __init__(self, folder: Path) -> None:
        """Raises Unavailable when the folder takes no file."""
        try:
            # Without a name where the system can: nothing is left behind, whatever happens.
            self._file = tempfile.TemporaryFile(dir=folder, prefix="form-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _full(error) from error

    async def write(self, data: bytes) -> None:
        """Raises Unavailable."""
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            raise _full(error) from error

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def map(self) -> mmap.mmap:
        """The whole body, which must not be empty. It lives as long as somebody holds it or a part of it."""
        return mmap.mmap(self._file.fileno(), os.fstat(self._file.fileno()).st_size, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """The map stays readable."""
        self._file.close()


def _full(error: OSError) -> Unavailable:
    return Unavailable(
        "The gateway cannot take a body of this size now.", detail=str(error), retry_after_ms=1000
    )
