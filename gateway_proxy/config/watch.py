"""News of a changed file, however it was changed.

Promises one call soon after an edit in place, an atomic rename, or a swap of any symbolic link on the way to the
file (as Kubernetes does with `..data`), and none while the file is missing. Reading it belongs to the caller.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

QUIET_MILLISECONDS = 50
"""A burst of events is over after this long without one."""

LONGEST_BURST_MILLISECONDS = 500
"""A burst counts as one change, but is reported after this long even while it goes on."""

FALLBACK_SECONDS = 5
"""File systems without notifications, and folders that come and go, are looked at this often."""

Fingerprint = tuple[str, int, int, int, int]


async def watch_file(path: Path, on_change: Callable[[], Awaitable[None]]) -> None:
    """Await `on_change` after each change of the file at `path`, until cancelled.

    The file and its folder may be missing for a while. What `on_change` raises ends the watch.
    """
    path = path.absolute()
    known = _take_fingerprint(path)
    while True:
        folders = _find_folders(path)
        try:
            async for _ in awatch(
                *{folder for folder, _, _ in folders},
                watch_filter=None,
                debounce=LONGEST_BURST_MILLISECONDS,
                step=QUIET_MILLISECONDS,
                rust_timeout=FALLBACK_SECONDS * 1000,
                yield_on_timeout=True,
                recursive=False,
            ):
                current = _take_fingerprint(path)
                if current is not None and current != known:
                    known = current
                    await on_change()
                if _find_folders(path) != folders:
                    break
        except FileNotFoundError:
            await asyncio.sleep(FALLBACK_SECONDS)


async def wait_until_quiet(path: Path) -> None:
    """Returns once the file has not changed for a moment, or after the longest burst."""
    fingerprint = _take_fingerprint(path)
    for _ in range(LONGEST_BURST_MILLISECONDS // QUIET_MILLISECONDS):
        await asyncio.sleep(QUIET_MILLISECONDS / 1000)
        earlier, fingerprint = fingerprint, _take_fingerprint(path)
        if fingerprint == earlier:
            return


def _take_fingerprint(path: Path) -> Fingerprint | None:
    """What differs after any change of the file; None while it cannot be reached."""
    try:
        status = path.stat()
        return os.path.realpath(path), status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
    except OSError:
        return None


def _find_folders(path: Path) -> frozenset[tuple[str, int, int]]:
    """The folders whose entries lead to the file: its own and that of each symbolic link's target."""
    places, folders = [str(path)], set()
    while len(places) <= 40:
        folder = os.path.dirname(places[-1])
        try:
            status = os.stat(folder)
            folders.add((folder, status.st_dev, status.st_ino))
            places.append(os.path.join(folder, os.readlink(places[-1])))
        except OSError:
            break
    target = os.path.dirname(os.path.realpath(path))
    try:
        status = os.stat(target)
        folders.add((target, status.st_dev, status.st_ino))
    except OSError:
        pass
    return frozenset(folders)
