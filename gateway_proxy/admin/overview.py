"""The overview: how much was asked, what it cost and how long it took, over a range; and who asked the most."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.roles import visible_owner
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.latency import find_percentile
from gateway_proxy.core.money import format_usd
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.reports import GroupBy, UsageRow
from gateway_proxy.storage.store import Store
from gateway_proxy.storage.timeline import Step

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
TOP = 5
MAX_POINTS = 50
_STEPS_MS = (
    *(minutes * MINUTE_MS for minutes in (5, 10, 15, 30)),
    *(hours * HOUR_MS for hours in (1, 2, 3, 6, 12, 24, 48, 168, 720, 2160, 8760)),
)
# Steps below an hour are folded after three days.
_FINE_MS = 70 * HOUR_MS
_COUNTS = ("requests", "errors", "denied", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Overview:
    """Money as decimal strings, times as RFC 3339. `before` are the totals of the range just before, as long.

    A point has `start_at`, the counts, `cost_usd`, and `p50_ms`, `p95_ms` of admitted requests (null without any);
    totals the same without `start_at`. Latencies are exact up to 7 ms and never off by more than a quarter.
    The top lists count whole UTC hours, the dearest first.
    """

    start_at: str
    end_at: str
    step_seconds: int
    points: list[dict[str, Any]]
    totals: dict[str, Any]
    before: dict[str, Any]
    top_keys: list[dict[str, Any]]
    top_models: list[dict[str, Any]]
    top_owners: list[dict[str, Any]]


class OverviewAdmin:
    """Members see what their own keys did."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def describe(self, actor: Actor, start_ms: int, end_ms: int) -> Overview:
        """The range in at most 50 steps. Raises Invalid for an empty one."""
        if start_ms >= end_ms:
            raise Invalid([FieldError("from", "must be before the end of the range")])
        step_ms = choose_step(start_ms, end_ms, self._clock.now_ms())
        first = start_ms // step_ms * step_ms
        steps, before, keys, models, owners = await asyncio.gather(
            self._steps(actor, first, end_ms, step_ms),
            self._steps(actor, max(0, 2 * first - end_ms), first, step_ms),
            self._top(actor, "key", first, end_ms),
            self._top(actor, "model", first, end_ms),
            self._top(actor, "owner", first, end_ms),
        )
        return Overview(
            start_at=format_time(first) or "",
            end_at=format_time(end_ms) or "",
            step_seconds=step_ms // 1000,
            points=[{"start_at": format_time(step.start_at), **_describe([step])} for step in steps],
            totals=_describe(steps),
            before=_describe(before),
            top_keys=await self._name_keys(keys),
            top_models=models,
            top_owners=owners,
        )

    async def has_requests(self, actor: Actor) -> bool:
        """Whether the actor's keys were ever used."""
        return await self._store.keys.total_requests(actor.organization, visible_owner(actor)) > 0

    async def _steps(self, actor: Actor, start_ms: int, end_ms: int, step_ms: int) -> list[Step]:
        return await self._store.timeline.steps(
            start_ms, end_ms, step_ms, organization=actor.organization, owner=visible_owner(actor)
        )

    async def _top(self, actor: Actor, group: str, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
        rows = await self._store.reports.usage(
            [cast(GroupBy, group)], start_ms, end_ms,
            organization=actor.organization, owner=visible_owner(actor),
        )  # fmt: skip
        named = [row for row in rows if row.group[0]]
        named.sort(key=lambda row: (-row.cost_nanos, -row.requests, row.group))
        return [_usage_object(group, row) for row in named[:TOP] if row.requests or row.cost_nanos]

    async def _name_keys(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        gone = await self._store.keys.find_deleted([row["key"] for row in rows])
        for row in rows:
            key = await self._store.keys.find(row["key"])
            deleted = gone.get(row["key"])
            row["key_name"] = key.name if key else deleted.name if deleted else row["key"]
            row["deleted"] = key is None
        return rows


def choose_step(start_ms: int, end_ms: int, now_ms: int) -> int:
    """The shortest step in milliseconds that keeps the range to 50 points and that the store still has."""
    shortest = HOUR_MS if start_ms < now_ms - _FINE_MS else 0
    fitting = (
        step for step in _STEPS_MS if step >= shortest and (end_ms - start_ms) / step <= MAX_POINTS - 1
    )
    return next(fitting, _STEPS_MS[-1])


def _describe(steps: Sequence[Step]) -> dict[str, Any]:
    latencies: dict[int, int] = {}
    for step in steps:
        for bucket, count in step.latencies.items():
            latencies[bucket] = latencies.get(bucket, 0) + count
    return {
        **{name: sum(getattr(step, name) for step in steps) for name in _COUNTS},
        "cost_usd": format_usd(sum(step.cost_nanos for step in steps)),
        "p50_ms": find_percentile(latencies, 0.5),
        "p95_ms": find_percentile(latencies, 0.95),
    }


def _usage_object(group: str, row: UsageRow) -> dict[str, Any]:
    return {
        group: row.group[0],
        "deleted": False,
        "requests": row.requests,
        "errors": row.errors,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost_usd": format_usd(row.cost_nanos),
    }
