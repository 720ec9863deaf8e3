"""The timeline: how much, how dear and how fast, step by step over a range. Read-only; the books write it.

Five-minute steps are kept for days, hours for good. A request counts where it began, an attempt's cost and tokens
where it was admitted.
"""

from dataclasses import dataclass, field

from gateway_proxy.storage.database import Database
from gateway_proxy.storage.ledger_rows import EVERYBODY, HOUR_MS, STEP_MS
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

        `step_ms` is a multiple of five minutes; from an hour on, a multiple of hours. Steps count from 1970 in UTC.
        Raises ValueError for another one.
        """
        if step_ms <= 0 or step_ms % (HOUR_MS if step_ms >= HOUR_MS else STEP_MS):
            raise ValueError("a step of the timeline is a number of five minutes, or of hours")
        first = start_at // step_ms * step_ms
        steps = {at: Step(at) for at in range(first, end_at, step_ms)}
        where = Where()
        where.add(f"step_ms = {where.bind(HOUR_MS if step_ms >= HOUR_MS else STEP_MS)}")
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
