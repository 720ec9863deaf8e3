"""A gateway whose clock is ahead, on a server of counters whose clock is set too: `python -m tests.rig.skewed SECONDS serve -c FILE`.

The server's clock is ahead by what its key `skew` says, in seconds.
"""

import sys
import time

from gateway_proxy.core.clock import Clock
from gateway_proxy.shared import scripts
from gateway_proxy.shared.scripts import Script

__all__ = ["skew_script"]

_TIME = b"redis.call('TIME')"
_SKEWED = (
    b"(function() local t = redis.call('TIME') return {t[1] + (redis.call('GET', 'skew') or 0), t[2]} end)()"
)


def skew_script(script: Script) -> Script:
    """The same by the clock of a server that has the key."""
    return Script.of(script.name, script.text.replace(_TIME, _SKEWED))


def _skew(seconds: float) -> None:
    """Before any other module takes what it needs of these."""
    for name, value in list(vars(scripts).items()):
        if isinstance(value, Script):
            setattr(scripts, name, skew_script(value))
    scripts.ALL = tuple(map(skew_script, scripts.ALL))
    ahead_ms = round(seconds * 1000)
    Clock.now_ms = lambda _: int(time.time() * 1000) + ahead_ms  # type: ignore[method-assign]


if __name__ == "__main__":
    _skew(float(sys.argv.pop(1)))
    from gateway_proxy.__main__ import main

    sys.exit(main())
