"""A hundred SIGKILLs under load: whatever the provider accepted has its row, settled or estimated, and no charge is ever lost.

Each process gets between 20 and 400 ms after it is ready. With retries, so that requests have several attempts.
"""

import asyncio
import random
import sys

from bench.figure import Figure, write
from bench.storm import Storm, judge, start_gateway
from tests.support.fake_provider import FakeProvider
from tests.support.money import usd_to_nanos

KILLS, SHORT_KILLS, WORKERS = 100, 5, 20
SEED = 20261102


def run(short: bool) -> list[Figure]:
    """All figures; `short` takes about 20 s."""
    kills = SHORT_KILLS if short else KILLS
    with FakeProvider(api_key="fake-key") as provider, start_gateway(provider, retries=1) as gateway:
        key = gateway.create_key("kills", budget_usd="100000")
        storm = Storm(gateway, key, SEED)
        fallen = asyncio.run(_kill_again_and_again(storm, kills))
        verdict = judge(gateway, provider, key)
        orphans = sum(row["outcome"] == "orphaned" for row in gateway.ledger_rows(key.id))
    name = f"{kills} SIGKILLs, {verdict.accepted} attempts accepted: "
    counts = (
        ("accepted without a row", verdict.unrecorded, "attempts"),
        (
            "rows of reported usage that nobody accepted, or not as billed",
            verdict.phantom + verdict.misquoted,
            "rows",
        ),
        ("requests billed higher than charged", verdict.undercharged, "requests"),
        ("difference outside of rows marked estimated", verdict.unexplained, "nano-USD"),
        ("counter apart from the rows when quiet", verdict.counter_error, "nano-USD"),
        ("restarts after which less was spent than before", fallen, "restarts"),
    )
    figures = [Figure(name + what, 0, count, unit, count == 0) for what, count, unit in counts]
    # A run without orphans would have killed nothing that mattered.
    figures.append(
        Figure(name + "rows of attempts that were cut, more than", 0, orphans, "rows", orphans > 0)
    )
    return figures


async def _kill_again_and_again(storm: Storm, kills: int) -> int:
    """Returns after how many restarts the key had spent less than its books held before the kill."""
    chance = random.Random(SEED)
    running = asyncio.create_task(storm.run(None, WORKERS))
    fallen = 0
    for _ in range(kills):
        await asyncio.sleep(0.02 + chance.random() * 0.38)
        settled = sum(row["charged_nanos"] for row in storm.gateway.ledger_rows(storm.key.id))
        await storm.kill()
        state = await asyncio.to_thread(storm.gateway.key_state, storm.key.secret)
        fallen += usd_to_nanos(state["budget"]["spent_usd"]) < settled
    await asyncio.sleep(0.5)
    storm.stop()
    await running
    return fallen


if __name__ == "__main__":
    found = run("--short" in sys.argv)
    for figure in found:
        print(
            "ok  " if figure.passed else "FAIL", figure.name, figure.measured, "of", figure.bound, figure.unit
        )
    if "--write" in sys.argv:
        write("kills", found)
    sys.exit(not all(figure.passed for figure in found))
