"""The timeline: how much, how dear and how fast, step by step over a range.

The books write five-minute steps; those that have grown old are folded into hours, which stay. A request counts where it began, an attempt's cost and tokens
where it was admitted.
"""

from dataclasses import dataclass, field

from gateway_proxy.storage.database import Database
from gateway_proxy.storage.ledger_rows import EVERYBODY, HOUR_MS, LATENCY_COLUMNS, STEP_MS, TIMELINE_COLUMNS
from gateway_proxy.storage.where import Where

_SUMS = ", ".join(
    f"CAST(SUM({name}) AS BIGINT)"
    for name in ("requests", "errors", "denied", "input_tokens", "output_tokens", "cost_nanos")
)


@dataclass(slots=True)
class Step:
    """Sums of one step. `requests` were admitted, `errors` are those of them that failed, `denied` were refused."""

    start_at: int
    requests: int = 0
    errors: int = 0
    denied: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    latencies: dict[int, int] = field(default_factory=dict)  # bucket of core.latency → requests


class Timeline:
    """Reads the steps, and folds old ones."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def steps(
        self,
        start_at: int,
        end_at: int,
        step_ms: int,
        *,
        organization: str | None = None,
        owner: str | None = None,
    ) -> list[Step]:
        """Every step from the one that holds `start_at` to the last before `end_at`, empty ones too.

        Where steps were folded, an hour stands in the first of its shorter steps.
        `step_ms` is a multiple of five minutes; from an hour on, a multiple of hours. Steps count from 1970 in UTC.
        Raises ValueError for another one.
        """
        if step_ms <= 0 or step_ms % (HOUR_MS if step_ms >= HOUR_MS else STEP_MS):
            raise ValueError("a step of the timeline is a number of five minutes, or of hours")
        first = start_at // step_ms * step_ms
        steps = {at: Step(at) for at in range(first, end_at, step_ms)}
        where = Where()
        where.add(f"step_ms IN ({STEP_MS}, {HOUR_MS})")
        where.equal("organization", organization)
        where.add(f"owner = {where.bind(EVERYBODY if owner is None else owner)}")
        where.add(f"start_at >= {where.bind(first)} AND start_at < {where.bind(end_at)}")
        at = f"start_at / {step_ms} * {step_ms}"
        rows = await self._db.fetch(
            f"SELECT {at}, {_SUMS} FROM timeline{where} GROUP BY {at}",  # noqa: S608
            *where.args,
        )
        for start, *sums in rows:
            steps[start] = Step(start, *sums)
        latencies = await self._db.fetch(
            f"SELECT {at}, bucket, CAST(SUM(requests) AS BIGINT) FROM timeline_latency{where} GROUP BY {at}, bucket",  # noqa: S608
            *where.args,
        )
        for start, bucket, requests in latencies:
            steps[start].latencies[bucket] = requests
        return list(steps.values())

    async def fold(self, before: int) -> int:
        """Make hours of the five-minute steps from before that hour; returns how many there were."""
        before = before // HOUR_MS * HOUR_MS
        folded = 0
        async with self._db.transaction() as tx:
            for table, keys, sums in (
                ("timeline_latency", ("bucket",), LATENCY_COLUMNS[5:]),
                ("timeline", (), TIMELINE_COLUMNS[4:]),
            ):
                key = ", ".join(("step_ms", "organization", "owner", "start_at", *keys))
                grouped = ", ".join(("organization", "owner", f"start_at / {HOUR_MS} * {HOUR_MS}", *keys))
                await tx.execute(
                    f"INSERT INTO {table} ({key}, {', '.join(sums)})"  # noqa: S608
                    f" SELECT CAST($1 AS BIGINT), {grouped}, {', '.join(f'CAST(SUM({name}) AS BIGINT)' for name in sums)}"
                    f" FROM {table} WHERE step_ms = $2 AND start_at < $3 GROUP BY {grouped}"
                    f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{n} = {table}.{n} + excluded.{n}' for n in sums)}",
                    HOUR_MS, STEP_MS, before,
                )  # fmt: skip
                folded = await tx.execute(
                    f"DELETE FROM {table} WHERE step_ms = $1 AND start_at < $2",  # noqa: S608
                    STEP_MS, before,
                )  # fmt: skip
        return folded
