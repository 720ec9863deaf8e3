"""A gateway that kills itself at one point while it applies a change: `python -m tests.rig.dying POINT serve -c FILE`.

It lives until a change of a key named MORTAL comes. Only its code paths are cut; nothing is written or sent after the point.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from gateway_proxy.app.attachment import Attachment
from gateway_proxy.app.follower import Follower
from gateway_proxy.app.keeping import Keeping
from gateway_proxy.app.shared_limits import SharedLimits
from gateway_proxy.audit.log import AuditLog

MORTAL = "mortal"
POINTS = ("taken", "prepared", "applied", "kept", "audited", "acknowledged")
"""Read from the store; counters are ready; all of it is in force, and a heartbeat goes out; it is in
the snapshot; it is in the audit log; it is acknowledged."""


class _Death:
    def __init__(self, point: str) -> None:
        self._point = point
        self._is_near = False
        self._attachment: Attachment | None = None

    def arm(self) -> None:
        self._wrap(Follower, "_apply", "taken")
        self._wrap(SharedLimits, "prepare", "", "prepared")
        self._wrap(Keeping, "advance", "applied", "kept")
        self._wrap(Attachment, "report", "")
        self._wrap(Follower, "_tell", "", "acknowledged")
        append = AuditLog.append

        def append_and_die(log: AuditLog, entries: Any) -> None:
            append(log, entries)
            self._reach("audited")

        AuditLog.append = append_and_die  # type: ignore[method-assign]

    def _wrap(self, owner: type, name: str, before: str, after: str = "") -> None:
        method: Callable[..., Awaitable[None]] = getattr(owner, name)

        async def die_around(this: Any, *arguments: Any) -> None:
            if isinstance(this, Attachment):
                self._attachment = this
            if name == "_apply":
                self._is_near = any(r.key is not None and r.key.name == MORTAL for r in arguments[0])
            if before == "applied" == self._point and self._is_near and self._attachment is not None:
                await self._attachment.report()
            self._reach(before)
            await method(this, *arguments)
            self._reach(after)

        setattr(owner, name, die_around)

    def _reach(self, point: str) -> None:
        if self._is_near and point == self._point:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from gateway_proxy.__main__ import main

    _Death(sys.argv.pop(1)).arm()
    sys.exit(main())
