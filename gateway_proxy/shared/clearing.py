"""Has the server forget leases of processes that are over, once the ledger says what became of them."""

import logging
from collections.abc import Callable

from gateway_proxy.shared.link import CONNECT_SECONDS, Link
from gateway_proxy.shared.names import SEPARATOR, Names
from gateway_proxy.shared.scripts import DROP
from gateway_proxy.shared.server import Server

log = logging.getLogger("gateway_proxy.shared")

_SCAN_COUNT = 500


def is_before(part: str, own: str, places: int) -> bool:
    """Whether this was an earlier process in the place of `own`; for the first place also in one that there is no more."""
    gateway, _, rest = part.partition("/")
    own_gateway, _, own_rest = own.partition("/")
    place, own_place = rest.partition(".")[0], own_rest.partition(".")[0]
    if gateway != own_gateway or not place.isdecimal() or part == own:
        return False
    return place == own_place or (own_place == "0" and int(place) >= places)


async def drop_leases(link: Link, server: Server, names: Names, is_over: Callable[[str], bool]) -> None:
    """Of every root, those of parts that are over; budgets that they touch are counted anew.

    Raises faults of the server.
    """
    cursor, dropped = "0", 0
    while True:
        cursor, found = await link.call(("SCAN", cursor, "MATCH", names.pattern, "COUNT", _SCAN_COUNT))
        for key in found:
            name = key.decode()
            fields = [field.decode() for field in await link.call(("HKEYS", name))]
            old = [field for field in fields if is_over(field.partition(SEPARATOR)[0])]
            if not old:
                continue
            dropped += len(old)
            if name.endswith(":x"):
                prefix = names.budgets(names.root_of(name))
                await server.ask(CONNECT_SECONDS, None, DROP, (name,), prefix, *old)
            else:
                await link.call(("HDEL", name, *old))
        if cursor == b"0":
            break
    if dropped:
        log.warning("shared counters: %d leases of processes that are over were dropped", dropped)
