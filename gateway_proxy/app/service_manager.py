"""Tells systemd, or whatever started us, how it stands: sd_notify(3), and the keep-alive of its watchdog.

The protocol is a datagram of `NAME=value` lines to the socket in $NOTIFY_SOCKET. Nobody there is no fault: it is told
nothing then. Nothing here knows what a gateway is.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import MutableMapping


class ServiceManager:
    """Whoever started this process, as its environment names it, which is not handed on to children."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.pop("WATCHDOG_USEC", "")
        meant = environment.pop("WATCHDOG_PID", "")
        mine = not meant or meant == str(os.getpid())
        self.watchdog_seconds = int(microseconds) / 1e6 if mine and microseconds.isdecimal() else 0.0

    def tell(self, *lines: str) -> None:
        """Send lines such as `READY=1`; never waits."""
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), self._address)

    def tell_reloading(self) -> None:
        """The settings are read anew; `READY=1` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    async def keep_alive(self) -> None:
        """Tell the watchdog twice in its time that this event loop turns; returns at once if there is none."""
        while self.watchdog_seconds and self._address:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_seconds / 2)
