"""What a batch of the books adds to the roll-ups. Runs for every request, so it is lean; no SQL here."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from gateway_proxy.core.latency import find_bucket
from gateway_proxy.storage.ledger_rows import EVERYBODY, HOUR_MS, LOG_OWN, MINUTE_MS, SLOT_MS, STEP_MS, Groups

_read_at: Callable[[Sequence[Any]], int] = itemgetter(LOG_OWN.index("at"))
_read_latency: Callable[[Sequence[Any]], int] = itemgetter(LOG_OWN.index("latency_ms"))


class Sums:
    """What a batch adds to the roll-ups."""

    __slots__ = ("_hourly", "_latencies", "_minutes", "_slots", "_stats", "_steps")

    def __init__(self) -> None:
        self._slots: dict[tuple[str, int], int] = {}
        self._hourly: dict[tuple[Any, ...], list[int]] = {}
        # key id → organization, owner, requests, last used, reserved (not of a batch's rows: 0), spent
        self._stats: dict[str, list[Any]] = {}
        self._minutes: set[tuple[str, str, int]] = set()
        # (start of the five minutes, organization, owner) → the timeline's sums; with the bucket → how many requests
        self._steps: dict[tuple[int, str, str], list[int]] = {}
        self._latencies: dict[tuple[int, str, str, int], int] = {}

    def slot_rows(self) -> Iterable[tuple[Any, ...]]:
        return ((key_id, slot, nanos) for (key_id, slot), nanos in sorted(self._slots.items()))

    def hourly_rows(self) -> Iterable[tuple[Any, ...]]:
        return ((*group, *sums) for group, sums in sorted(self._hourly.items()))

    def stats_rows(self) -> Iterable[tuple[Any, ...]]:
        return ((key_id, *sums) for key_id, sums in sorted(self._stats.items()))

    def minute_rows(self) -> set[tuple[str, str, int]]:
        return self._minutes

    def timeline_rows(self) -> Iterable[tuple[Any, ...]]:
        """Each step for its owner and for everybody."""
        everybody: dict[tuple[int, str], list[int]] = {}
        for (start_at, organization, owner), sums in self._steps.items():
            yield STEP_MS, organization, owner, start_at, *sums
            known = everybody.get((start_at, organization))
            if known is None:
                everybody[start_at, organization] = [*sums]
            else:
                for column, value in enumerate(sums):
                    known[column] += value
        for (start_at, organization), sums in everybody.items():
            yield STEP_MS, organization, EVERYBODY, start_at, *sums

    def latency_rows(self) -> Iterable[tuple[Any, ...]]:
        everybody: dict[tuple[int, str, int], int] = {}
        for (start_at, organization, owner, bucket), count in self._latencies.items():
            yield STEP_MS, organization, owner, start_at, bucket, count
            place = (start_at, organization, bucket)
            everybody[place] = everybody.get(place, 0) + count
        for (start_at, organization, bucket), count in everybody.items():
            yield STEP_MS, organization, EVERYBODY, start_at, bucket, count

    def _step(self, start_at: int, organization: str, owner: str) -> list[int]:
        sums = self._steps.get((start_at, organization, owner))
        if sums is None:
            sums = self._steps[start_at, organization, owner] = [0, 0, 0, 0, 0, 0]
        return sums

    def _hour(self, *group: Any) -> list[int]:
        sums = self._hourly.get(group)
        if sums is None:
            sums = self._hourly[group] = [0, 0, 0, 0, 0, 0, 0, 0]
        return sums

    def _stat(self, key_id: str, organization: str, owner: str) -> list[Any]:
        sums = self._stats.get(key_id)
        if sums is None:
            sums = self._stats[key_id] = [organization, owner, 0, 0, 0, 0]
        return sums

    def add_attempts(self, groups: Groups) -> None:
        """Attempts as `group_ledger` gives them."""
        for shared, rows in groups.items():
            (_, _, _, organization, key_id, parent_id, owner, provider, model, *_) = shared
            cache_write, cache_write_1h, audio_input, audio_output = shared[16:20]
            slot = shared[-1]
            _, admissions, _, _, charges, inputs, cached_inputs, outputs, reasonings = zip(*rows, strict=True)
            charged = sum(charges)
            if charged:
                for payer in (key_id,) if parent_id is None else (key_id, parent_id):
                    self._slots[payer, slot] = self._slots.get((payer, slot), 0) + charged
                    self._stat(payer, organization, owner)[5] += charged
            sums = self._hour(slot // (HOUR_MS // SLOT_MS), organization, key_id, owner, provider, model)
            cached = sum(cached_inputs)
            further_input = cache_write + cache_write_1h + audio_input
            input_tokens = sum(inputs) + cached + further_input * len(rows)
            output_tokens = sum(outputs) + sum(reasonings) + audio_output * len(rows)
            sums[3] += input_tokens
            sums[4] += cached
            sums[5] += output_tokens
            sums[6] += charged
            start_at = min(admissions) // STEP_MS * STEP_MS
            if max(admissions) < start_at + STEP_MS:  # as nearly always: a batch is the work of a second
                step = self._step(start_at, organization, owner)
                step[3] += input_tokens
                step[4] += output_tokens
                step[5] += charged
                continue
            for at, charge, input_, cached, output, reasoning in zip(
                admissions, charges, inputs, cached_inputs, outputs, reasonings, strict=True
            ):
                step = self._step(at // STEP_MS * STEP_MS, organization, owner)
                step[3] += input_ + cached + further_input
                step[4] += output + reasoning + audio_output
                step[5] += charge

    def add_requests(self, groups: Groups) -> None:
        """Requests as `group_logs` gives them."""
        for shared, rows in groups.items():
            (_, organization, key_id, _, owner, _, _, _, _, model, provider, status, error_code, *_) = shared
            minute = shared[-1]
            self._minutes.update(
                (
                    ("key_id", key_id, minute), ("owner", owner, minute), ("model", model, minute),
                    ("provider", provider, minute), ("status", str(status), minute),
                    ("error_code", error_code, minute), ("organization", organization, minute),
                )
            )  # fmt: skip
            start_at = minute * MINUTE_MS // STEP_MS * STEP_MS
            hour = minute // (HOUR_MS // MINUTE_MS)
            failed = status >= 400 or bool(error_code)
            if not shared[14]:  # not admitted: refused, or answered by the gateway itself
                if failed:
                    self._hour(hour, organization, key_id, owner, "", "")[2] += len(rows)
                    self._step(start_at, organization, owner)[2] += len(rows)
                continue
            sums = self._hour(hour, organization, key_id, owner, provider, model)
            drawn = self._step(start_at, organization, owner)
            sums[0] += len(rows)
            drawn[0] += len(rows)
            latencies = self._latencies
            for latency_ms, count in Counter(map(_read_latency, rows)).items():
                sums[7] += latency_ms * count
                place = (start_at, organization, owner, find_bucket(latency_ms))
                latencies[place] = latencies.get(place, 0) + count
            if failed:
                sums[1] += len(rows)
                drawn[1] += len(rows)
            stat = self._stat(key_id, organization, owner)
            stat[2] += len(rows)
            stat[3] = max(stat[3], *map(_read_at, rows))
