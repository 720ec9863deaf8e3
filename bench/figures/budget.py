"""The hard cap: a budget for 500 of 2,000 requests, 200 at once, all behaviours mixed, killed and started again in between.

The provider's books must stay within ours, ours within the cap, and the whole difference must stand in rows marked
`estimated`. A provider that goes beyond the output cap it was given is the one exception, and is measured apart.
"""

import asyncio
import sys

from bench.figure import Figure, write
from bench.storm import MAX_TOKENS, Storm, judge, start_gateway
from tests.support.client import chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import CreatedKey, RunningGateway
from tests.support.money import usd_to_nanos

REQUESTS, AFFORDABLE, WORKERS, KILLS = 2000, 500, 200, 2
SHORT_REQUESTS, SHORT_AFFORDABLE, SHORT_WORKERS, SHORT_KILLS = 400, 100, 60, 1
SEED = 20261101


def run(short: bool) -> list[Figure]:
    """All figures; `short` takes about 20 s."""
    requests, affordable = (SHORT_REQUESTS, SHORT_AFFORDABLE) if short else (REQUESTS, AFFORDABLE)
    workers, kills = (SHORT_WORKERS, SHORT_KILLS) if short else (WORKERS, KILLS)
    with FakeProvider(api_key="fake-key") as provider, start_gateway(provider) as gateway:
        cap = affordable * _measure_bound(gateway)
        key = gateway.create_key("storm", budget_usd=_usd(cap))
        storm = Storm(gateway, key, SEED)
        begun = provider.stats()["accepted"]
        kill_at = [begun + affordable * number // (kills + 1) for number in range(1, kills + 1)]
        asyncio.run(_storm(storm, provider, requests, workers, kill_at))
        figures = _judge_storm(gateway, provider, storm, cap)
        return figures + asyncio.run(_overrun(gateway, provider, requests // 20))


def _measure_bound(gateway: RunningGateway) -> int:
    key = gateway.create_key("probe", budget_usd="1")
    gateway.fetch(
        "/v1/chat/completions",
        secret=key.secret,
        body=chat_body("tokens=12 delay_ms=1", max_tokens=MAX_TOKENS),
    )
    return int(gateway.settled_rows(key.id)[0]["reserved_nanos"])


async def _storm(
    storm: Storm, provider: FakeProvider, requests: int, workers: int, kill_at: list[int]
) -> None:
    running = asyncio.create_task(storm.run(requests, workers))
    for accepted in kill_at:
        while not running.done() and (await asyncio.to_thread(provider.stats))["accepted"] < accepted:
            await asyncio.sleep(0.02)
        await storm.kill()
    await running


def _judge_storm(gateway: RunningGateway, provider: FakeProvider, storm: Storm, cap: int) -> list[Figure]:
    verdict = judge(gateway, provider, storm.key)
    refusals = [answer for answer in storm.answers if answer.code == "insufficient_quota"]
    false = sum(not _is_justified(answer.json()["error"]["gateway"]["budget"]) for answer in refusals)
    within = verdict.billed <= verdict.charged <= cap
    name = f"budget, {storm.sent} requests, {verdict.accepted} accepted: "
    return [
        Figure(name + "charged, within the cap", cap / 1e9, verdict.charged / 1e9, "USD", within),
        Figure(name + "billed by the provider, within the charge", verdict.charged / 1e9, verdict.billed / 1e9, "USD", within),
        *(
            Figure(name + what, 0, count, unit, count == 0)
            for what, count, unit in (
                ("difference outside of rows marked estimated", verdict.unexplained, "nano-USD"),
                ("billed higher than charged", verdict.undercharged, "requests"),
                ("accepted without a row", verdict.unrecorded, "requests"),
                ("reported usage not charged to the nano-USD", verdict.misquoted + verdict.phantom, "rows"),
                ("counter apart from the rows when quiet", verdict.counter_error, "nano-USD"),
                (f"refused although it fitted, of {len(refusals)} refusals", false, "requests"),
            )
        ),
        Figure(name + "share of the cap that was used", 0.9, round(verdict.charged / cap, 4), "", verdict.charged >= cap * 0.9),
    ]  # fmt: skip


def _is_justified(budget: dict[str, str]) -> bool:
    spent, reserved, needed, limit = (
        usd_to_nanos(budget[name]) for name in ("spent", "reserved", "needed", "limit")
    )
    return spent + reserved + needed > limit


async def _overrun(gateway: RunningGateway, provider: FakeProvider, requests: int) -> list[Figure]:
    """The provider makes 10 % more than it was allowed to: it is charged in full, said aloud, and ends the budget."""
    tokens = 1000
    key: CreatedKey = gateway.create_key("overrun", budget_usd="0.1")
    body = f"mode=exceeds_cap tokens={tokens * 2}"
    storm = Storm(gateway, key, SEED, orders=(body,), leaving=0.0, max_tokens=tokens)
    await storm.run(requests, 8)
    verdict = judge(gateway, provider, key)
    rows = gateway.ledger_rows(key.id)
    excess = sum(max(0, row["charged_nanos"] - row["reserved_nanos"]) for row in rows)
    over = sum(row["charged_nanos"] > row["reserved_nanos"] for row in rows)
    log = gateway.log_text().splitlines()
    told = sum(any("ALARM" in line and row["request_id"] in line for line in log) for row in rows)
    beyond = max(0, verdict.charged - 100_000_000)
    name = f"a provider beyond its output cap, {len(rows)} requests: "
    return [
        Figure(name + "not charged as billed", 0, verdict.misquoted + verdict.undercharged, "rows", verdict.charged == verdict.billed),
        Figure(name + "overruns without an alarm", 0, over - told, "rows", over == told > 0),
        Figure(name + "spent beyond the budget, at most the sum of the overruns", excess / 1e9, beyond / 1e9, "USD", beyond <= excess),
    ]  # fmt: skip


def _usd(nanos: int) -> str:
    return f"{nanos // 10**9}.{nanos % 10**9:09d}"


if __name__ == "__main__":
    found = run("--short" in sys.argv)
    for figure in found:
        print(
            "ok  " if figure.passed else "FAIL", figure.name, figure.measured, "of", figure.bound, figure.unit
        )
    if "--write" in sys.argv:
        write("budget", found)
    sys.exit(not all(figure.passed for figure in found))
