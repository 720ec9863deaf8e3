"""Without the store: whether the counters on the server are those that were believed before, and whole.

The store lets no newer epoch be believed before this gateway's leases are in it, and it waits for them under the name of
the part that was noted. So the noted epoch is the newest that anybody may judge budgets by, as long as that part was not
let go; and the server's counters are all of what is spent and reserved, as long as they are the same and went only
forward. What dead processes had reserved stands there until their books are in the store. Any doubt refuses.
"""

from gateway_proxy.core.store import CountersMark
from gateway_proxy.shared.link import Link, call_of
from gateway_proxy.shared.names import EPOCH, Names
from gateway_proxy.shared.scripts import ENTER, RESUME
from gateway_proxy.shared.server import STEP_MS, Lost, Server


class Doubt(Exception):
    """What speaks against the counters."""


async def resume(link: Link, server: Server, mark: CountersMark) -> None:
    """Have this connection speak for the server's part under the noted epoch.

    Raises Doubt, and Disconnected, TooSlow, Refused, after which it may be tried again.
    """
    if link.run_id != mark.run_id:
        raise Doubt("it is another server, or was restarted")
    if link.evicts:
        raise Doubt("it may have thrown leases away")
    names, noted = Names(mark.epoch), max(mark.number, server.number)
    speaker = (mark.epoch, f"c:{server.part}", link.generation)
    reply = await link.call(call_of(RESUME, (EPOCH, names.parts), *speaker, mark.part, noted))
    if reply[0] != 1:
        raise Doubt(reply[1].decode())
    _, number, now_ms = reply
    if abs(server.find_ahead_ms(now_ms) - mark.ahead_ms) > STEP_MS:
        raise Doubt("its clock or this machine's was set")
    server.enter(names, number)


async def enter_unbelieved(link: Link, server: Server) -> None:
    """Have this connection speak for the server's part under whatever epoch is there, without budgets: rates and slots hold when
    all go by the same counters, whichever these are.

    Raises Lost when there are none, and faults of the server.
    """
    epoch = await link.call(("HGET", EPOCH, "id"))
    if not isinstance(epoch, bytes):
        raise Lost
    names = Names(epoch.decode())
    reply = await link.call(call_of(ENTER, (EPOCH,), names.epoch, f"c:{server.part}", link.generation))
    if reply[0] != 1:
        raise Lost
    server.enter(names, reply[1])
