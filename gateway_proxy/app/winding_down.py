"""The end of a listening gateway as its clients see it, and the shortcut for those who do not want to wait.

Load balancers need a moment to learn from `/readyz` that this gateway ends. Until they have, and nobody asks for anything
any more, connections are still accepted and requests served; each answer says `connection: close`. What comes after that
is refused by the kernel, before a request was sent, so whoever balances can safely send it elsewhere.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import web

from gateway_proxy.proxy.edge import EdgeServer

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway

log = logging.getLogger("gateway_proxy.server")

QUIET_SECONDS = 1.0  # without a new request: the balancers know, or there are none
MOST_SECONDS = 10.0  # whoever still comes then has not looked at /readyz
SETTLE_SECONDS = 1.0  # for the first bytes of connections that were accepted last
FORCED_SECONDS = 1.0
POLL_SECONDS = 0.02


async def wind_down(
    edges: Sequence[EdgeServer],
    sites: Sequence[web.BaseSite],
    ends_at: float,
    is_work: Callable[[str], bool],
    *,
    at_once: bool = False,
) -> None:
    """Stop listening once nobody comes any more, and wait for requests whose body is still on its way.

    Returns at the loop time `ends_at` at the latest, but for a moment. `is_work` tells paths from those of health checks.
    With `at_once` nobody is accepted any more.
    """
    loop = asyncio.get_running_loop()
    began = last = loop.time()

    def note(path: str) -> None:
        nonlocal last
        if is_work(path):
            last = loop.time()

    is_used = not at_once and any(edge.is_used for edge in edges)
    for edge in edges:
        edge.wind_down(note)
    # Half of the time is for streams that began at the very end of it.
    most = min(began + MOST_SECONDS, began + (ends_at - began) / 2)
    while is_used and (now := loop.time()) < most and now - last < QUIET_SECONDS:
        await asyncio.sleep(POLL_SECONDS)
    for site in sites:
        await site.stop()
    await asyncio.sleep(SETTLE_SECONDS)
    for edge in edges:
        edge.pre_shutdown()
    while loop.time() < ends_at and any(edge.busy for edge in edges):
        await asyncio.sleep(POLL_SECONDS)


async def force(gateway: "Gateway") -> None:
    """Tell running streams, write the books to the disk, and end the process."""
    log.warning(
        "ended by a second signal: what the store does not have yet is in the spool for the next start"
    )
    gateway.plane.sweeper.end_all()
    ends_at = asyncio.get_running_loop().time() + FORCED_SECONDS
    while gateway.plane.sweeper.runs and asyncio.get_running_loop().time() < ends_at:
        await asyncio.sleep(POLL_SECONDS)
    await asyncio.sleep(POLL_SECONDS)  # for the last bytes to the sockets
    await asyncio.to_thread(gateway.spool.close)
    os._exit(1)
