"""Rows of the books as tuples in column order, and their sums. Runs for every request, so it is lean: no asdict."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import orjson

from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.usage import Rates, Usage

HOUR_MS = 3_600_000
SLOT_MS = 900_000
MINUTE_MS = 60_000

LEDGER_COLUMNS = (
    "request_id", "attempt", "kind", "gateway_id", "organization", "key_id", "parent_id", "owner", "provider",
    "model_requested", "model_sent", "model_reported", "operation", "admitted_at", "settled_at", "period",
    "reserved_nanos", "charged_nanos", "rates_json", "usage_source", "outcome", "input_tokens",
    "cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens", "audio_input_tokens", "output_tokens",
    "reasoning_tokens", "audio_output_tokens", "requests", "images", "millis", "characters", "searches",
)  # fmt: skip
LOG_COLUMNS = (
    "request_id", "seq", "at", "gateway_id", "organization", "key_id", "key_name", "owner", "metadata_json",
    "client_ip", "client_request_id", "trace_id", "method", "path", "operation", "model", "provider", "status", "error_code",
    "outcome", "admitted", "stream", "attempts", "input_tokens", "output_tokens", "cost_nanos", "latency_ms",
    "first_byte_ms",
)  # fmt: skip
EVENT_COLUMNS = (
    "id",
    "type",
    "at",
    "organization",
    "key_id",
    "dedupe",
    "data_json",
    "state",
    "attempts",
    "next_at",
)
HOURLY_COLUMNS = (
    "hour", "organization", "key_id", "owner", "provider", "model", "requests", "errors", "denied", "input_tokens",
    "cached_tokens", "output_tokens", "cost_nanos", "latency_ms",
)  # fmt: skip
STATS_COLUMNS = (
    "key_id", "organization", "owner", "requests", "last_used_at", "reserved_nanos", "spent_nanos",
)  # fmt: skip

_USAGE_AT = LEDGER_COLUMNS.index("input_tokens")
_CAP = 10**17  # nano-USD: a hundred million USD in one attempt
_RATE_NAMES = tuple(field.name for field in fields(Rates))
# Each revision of the settings brings rate objects of its own: a small cache lets the old ones go.
MAX_RATES_SEEN = 256
_rates_seen: dict[int, tuple[Rates, str]] = {}


def ledger_tuple(row: LedgerRow) -> tuple[Any, ...]:
    """In the order of `LEDGER_COLUMNS`."""
    used = row.usage
    rates = row.rates
    return (
        row.request_id, row.attempt, row.kind, row.gateway_id, row.organization, row.key_id, row.parent_id, row.owner,
        row.provider, row.model_requested, row.model_sent, row.model_reported, row.operation, row.admitted_at,
        row.settled_at, row.period, row.reserved_nanos, row.charged_nanos,
        None if rates is None else rates_json(rates), row.usage_source, row.outcome,
        used.input, used.cached_input, used.cache_write, used.cache_write_1h, used.audio_input, used.output,
        used.reasoning, used.audio_output, used.requests, used.images, used.millis, used.characters, used.searches,
    )  # fmt: skip


def tuple_to_ledger(values: Sequence[Any]) -> LedgerRow:
    """The inverse of `ledger_tuple`."""
    row = dict(zip(LEDGER_COLUMNS[:_USAGE_AT], values, strict=False))
    rates = row.pop("rates_json")
    return LedgerRow(
        **row,
        rates=None if rates is None else Rates(**orjson.loads(rates)),
        usage=Usage(*values[_USAGE_AT:]),
    )


def cap_numbers(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values, none so large that adding a few of them up leaves 64 bits."""
    return tuple(min(value, _CAP) if type(value) is int else value for value in values)


def log_tuple(row: LogRow, seq: int) -> tuple[Any, ...]:
    """In the order of `LOG_COLUMNS`."""
    return (
        row.request_id, seq, row.at, row.gateway_id, row.organization, row.key_id, row.key_name, row.owner,
        row.metadata_json, row.client_ip, row.client_request_id, row.trace_id, row.method, row.path, row.operation,
        row.model, row.provider, row.status, row.error_code, row.outcome, row.admitted, row.stream, row.attempts,
        row.input_tokens, row.output_tokens, row.cost_nanos, row.latency_ms, row.first_byte_ms,
    )  # fmt: skip


def event_tuple(row: EventRow) -> tuple[Any, ...]:
    """In the order of `EVENT_COLUMNS`: new, due at once."""
    data = orjson.dumps(row.data).decode()
    return (row.id, row.type, row.at, row.organization, row.key_id, row.dedupe, data, "pending", 0, row.at)


def rates_json(rates: Rates) -> str:
    """The rates that are not 0, with source and version. Made once per object: a price list has few."""
    entry = _rates_seen.get(id(rates))
    if entry is not None and entry[0] is rates:
        return entry[1]
    text = orjson.dumps({name: value for name in _RATE_NAMES if (value := getattr(rates, name))}).decode()
    if len(_rates_seen) >= MAX_RATES_SEEN:
        _rates_seen.clear()
    _rates_seen[id(rates)] = (rates, text)  # holds the object, so that its id is not given to another
    return text


class Sums:
    """What a batch adds to the roll-ups."""

    __slots__ = ("_hourly", "_minutes", "_slots", "_stats")

    def __init__(self, ledger: Iterable[LedgerRow], logs: Iterable[LogRow]) -> None:
        self._slots: dict[tuple[str, int], int] = {}
        self._hourly: dict[tuple[Any, ...], list[int]] = {}
        # key id → organization, owner, requests, last used, reserved (not of a batch's rows: 0), spent
        self._stats: dict[str, list[Any]] = {}
        self._minutes: set[tuple[str, str, str, int]] = set()
        for row in ledger:
            self._add_attempt(row)
        for log in logs:
            self._add_request(log)

    def slot_rows(self) -> Iterable[tuple[Any, ...]]:
        return ((key_id, slot, nanos) for (key_id, slot), nanos in sorted(self._slots.items()))

    def hourly_rows(self) -> Iterable[tuple[Any, ...]]:
        return ((*group, *sums) for group, sums in sorted(self._hourly.items()))

    def stats_rows(self) -> Iterable[tuple[Any, ...]]:
        return ((key_id, *sums) for key_id, sums in sorted(self._stats.items()))

    def minute_rows(self) -> Iterable[tuple[Any, ...]]:
        seen: set[tuple[str, str, int]] = set()
        for key_id, model, provider, minute in self._minutes:
            seen.update(
                (("key_id", key_id, minute), ("model", model, minute), ("provider", provider, minute))
            )
        return sorted(seen)

    def _stat(self, key_id: str, organization: str, owner: str) -> list[Any]:
        sums = self._stats.get(key_id)
        if sums is None:
            sums = self._stats[key_id] = [organization, owner, 0, 0, 0, 0]
        return sums

    def _add_attempt(self, row: LedgerRow) -> None:
        charged = row.charged_nanos
        at = row.admitted_at
        key_id = row.key_id
        if charged:
            slots = self._slots
            slot = at // SLOT_MS
            slots[key_id, slot] = slots.get((key_id, slot), 0) + charged
            self._stat(key_id, row.organization, row.owner)[5] += charged
            parent_id = row.parent_id
            if parent_id is not None:
                slots[parent_id, slot] = slots.get((parent_id, slot), 0) + charged
                self._stat(parent_id, row.organization, row.owner)[5] += charged
        group = (at // HOUR_MS, row.organization, key_id, row.owner, row.provider, row.model_requested)
        sums = self._hourly.get(group)
        if sums is None:
            sums = self._hourly[group] = [0, 0, 0, 0, 0, 0, 0, 0]
        used = row.usage
        cached = used.cached_input
        sums[3] += used.input + cached + used.cache_write + used.cache_write_1h + used.audio_input
        sums[4] += cached
        sums[5] += used.output + used.reasoning + used.audio_output
        sums[6] += charged

    def _add_request(self, log: LogRow) -> None:
        at = log.at
        self._minutes.add((log.key_id, log.model, log.provider, at // MINUTE_MS))
        if log.admitted:
            group = (at // HOUR_MS, log.organization, log.key_id, log.owner, log.provider, log.model)
        else:
            group = (at // HOUR_MS, log.organization, log.key_id, log.owner, "", "")
        sums = self._hourly.get(group)
        if sums is None:
            sums = self._hourly[group] = [0, 0, 0, 0, 0, 0, 0, 0]
        if not log.admitted:
            sums[2] += 1
            return
        sums[0] += 1
        sums[7] += log.latency_ms
        if log.status >= 400 or log.error_code:
            sums[1] += 1
        stat = self._stat(log.key_id, log.organization, log.owner)
        stat[2] += 1
        stat[3] = max(stat[3], at)
