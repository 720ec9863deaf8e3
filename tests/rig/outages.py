"""What a fleet does while its store or its counters are away under load, and how soon all is as before."""

import asyncio
import dataclasses
import time

from bench.load import percentile
from gateway_proxy.shared.limiter import DECISION_SECONDS
from tests.rig.cluster import Cluster
from tests.rig.history import Request
from tests.rig.judging import ROWS, Books, compare_books
from tests.rig.open_load import OpenLoad
from tests.rig.store_faults import Fault

__all__ = ["Outage", "run_outage"]

_CALM_SECONDS = 3.0
_WRITTEN_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Outage:
    """Times in seconds; the rest are counts of answers."""

    wrong: int  # served although the key was revoked, or its budget used up
    refused: int  # of a key without limits, at any time
    unpaid: int  # of a key with a budget, meanwhile
    undecided: (
        int  # those of them whose decision took the time that it may take, as on a machine that is busy
    )
    served: int  # of a key without limits, meanwhile
    p99_before: float
    p99_meanwhile: float
    longest_refusal: float  # of the key with a budget, meanwhile
    back_after: float  # from the end of the fault to the last request that a budget did not pay for
    books: Books


async def run_outage(cluster: Cluster, fault: Fault, away_seconds: float, rate: int) -> Outage:
    """`rate` requests a second, also before and after it."""
    keys = {
        "plain": cluster.create_key("plain"),
        "paid": cluster.create_key("paid", budget_usd="1000"),
        "poor": cluster.create_key("poor", budget_usd="0.000001"),
        "revoked": cluster.create_key("revoked"),
    }
    cluster.gateways[0].revoke_key(keys["revoked"].id)
    earlier = len(cluster.provider.settled_ledger(60))
    async with OpenLoad(cluster, {name: key.secret for name, key in keys.items()}, rate) as load:
        await asyncio.sleep(_CALM_SECONDS)
        begun = time.monotonic()
        heal = await fault()
        away_at = time.monotonic()
        await asyncio.sleep(away_seconds)
        healing = time.monotonic()
        await heal()
        healed = time.monotonic()
        await asyncio.sleep(6.0)
    entries = (await asyncio.to_thread(cluster.provider.settled_ledger, 60))[earlier:]
    books = await _wait_for_books(cluster, [keys["plain"].id, keys["paid"].id], entries)
    plain = load.find("plain", away_at, healing)
    paid = load.find("paid", away_at, healing)
    late = [one.sent_at - healed for one in load.find("paid", healed) if one.status != 200]
    return Outage(
        wrong=sum(one.status == 200 for name in ("poor", "revoked") for one in load.find(name, 0)),
        refused=sum(one.status != 200 for one in load.find("plain", 0)),
        unpaid=sum(one.status != 200 for one in paid),
        undecided=sum(
            one.status == 503 and one.answered_at - one.sent_at > 0.9 * DECISION_SECONDS for one in paid
        ),
        served=len(plain),
        p99_before=_p99(load.find("plain", begun - _CALM_SECONDS / 2, begun)),
        p99_meanwhile=_p99(plain),
        longest_refusal=max((one.answered_at - one.sent_at for one in paid if one.status == 503), default=0),
        back_after=max(late, default=0.0),
        books=books,
    )


def _p99(requests: list[Request]) -> float:
    return percentile(sorted(one.answered_at - one.sent_at for one in requests), 99)


async def _wait_for_books(cluster: Cluster, key_ids: list[str], entries: list[object]) -> Books:
    """Ours once they have as much as the provider's, or after a time that is for the judge."""
    ends = time.monotonic() + _WRITTEN_SECONDS
    while True:
        rows = [row for key_id in key_ids for row in await cluster.fetch(ROWS, key_id)]
        books = compare_books(rows, entries, (), 0)  # type: ignore[arg-type]
        if books.rows >= books.accepted or time.monotonic() > ends:
            return books
        await asyncio.sleep(0.1)
