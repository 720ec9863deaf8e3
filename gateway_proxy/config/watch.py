"""News of a changed file, however it was changed.

Promises one call soon after an edit in place, an atomic rename, or a swap of any symbolic link on the way to the
file (as Kubernetes does with `..data`), and none while the file is missing. Reading it belongs to the caller.

The file is looked at four times a second. Notifications of the kernel would come for the whole folder, and in it the
store is written to all the time; some file systems have none.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

LOOK_SECONDS = 0.25
QUIET_SECONDS = 0.05
"""A file that did not change for so long is not being written."""

MOST_LOOKS = 10
"""It is read after so many looks even if it is still being written: each later change is news again."""

Fingerprint = tuple[str, int, int, int, int, int]


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]]) -> None:
    """Await `on_change` after each change of the file at `path`, until cancelled.

    The file and its folder may be missing for a while. What `on_change` raises ends the watch.
    """
    path = path.absolute()
    known = _take_fingerprint(path)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if _take_fingerprint(path) in (None, known):
            continue
        await wait_until_quiet(path)
        current = _take_fingerprint(path)
        if current is not None:
            known = current
            await on_change()


async def wait_until_quiet(path: Path) -> None:
    """Returns once the file has not changed for a moment, or after the longest burst."""
    fingerprint = _take_fingerprint(path)
    for _ in range(MOST_LOOKS):
        await asyncio.sleep(QUIET_SECONDS)
        earlier, fingerprint = fingerprint, _take_fingerprint(path)
        if fingerprint == earlier:
            return


def _take_fingerprint(path: Path) -> Fingerprint | None:
    """What differs after any change of the file; None while it cannot be reached."""
    try:
        status = path.stat()
        return (
            os.path.realpath(path), status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns,
            status.st_size,
        )  # fmt: skip
    except OSError:
        return None
