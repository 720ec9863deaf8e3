"""Hands what this process holds over into a new epoch."""

import asyncio

from gateway_proxy.shared.ending import Ending
from gateway_proxy.shared.link import CONNECT_SECONDS, Link
from gateway_proxy.shared.names import Names
from gateway_proxy.shared.scripts import ADOPT
from gateway_proxy.shared.server import Server


async def adopt_leases(link: Link, server: Server, names: Names, ending: Ending) -> None:
    """All of it in one step: what happens later is told later. Raises faults of the server."""
    calls = []
    for root, entries, slots in ending.leases.by_root():
        keys = [names.entries(root)]
        holders: list[str] = []
        for key_id, leases in slots.items():
            for lease in leases:
                keys.append(names.slots(root, key_id))
                holders.append(lease)
        told = [text for pair in entries.items() for text in pair]
        calls.append(
            link.request(
                server.command(ADOPT, tuple(keys), names.budgets(root), len(entries), *told, *holders),
                CONNECT_SECONDS,
            )
        )
    ending.hand_over()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        server.examine(outcome)
