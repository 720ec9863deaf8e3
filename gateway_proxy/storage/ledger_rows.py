"""Rows of the books as tuples, grouped by what they share. Runs for every request, so it is lean."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any

import orjson

from gateway_proxy.core.ledger import EventRow, LedgerRow, LogRow
from gateway_proxy.core.usage import Rates, Usage

HOUR_MS = 3_600_000
SLOT_MS = 900_000
MINUTE_MS = 60_000
STEP_MS = 300_000
EVERYBODY = "*"  # the owner under which the timeline keeps a whole organization

# What the rows of one key and model mostly share is bound once per statement; the rest is a row's own.
_LEDGER_READ = (
    "attempt", "kind", "gateway_id", "organization", "key_id", "parent_id", "owner", "provider", "model_requested",
    "model_sent", "model_reported", "operation", "period", "usage_source", "outcome",
)  # fmt: skip
LEDGER_SHARED = (
    *_LEDGER_READ, "rates_json", "cache_write_tokens", "cache_write_1h_tokens", "audio_input_tokens", "audio_output_tokens", "requests",
    "images", "millis", "characters", "searches",
)  # fmt: skip
LEDGER_OWN = (
    "request_id", "admitted_at", "settled_at", "reserved_nanos", "charged_nanos", "input_tokens",
    "cached_input_tokens", "output_tokens", "reasoning_tokens",
)  # fmt: skip
LEDGER_COLUMNS = LEDGER_SHARED + LEDGER_OWN
LOG_SHARED = (
    "gateway_id", "organization", "key_id", "key_name", "owner", "metadata_json", "method", "path", "operation",
    "model", "provider", "status", "error_code", "outcome", "admitted", "stream", "attempts", "would_deny",
)  # fmt: skip
LOG_OWN = (
    "request_id", "seq", "at", "client_ip", "client_request_id", "trace_id", "input_tokens", "output_tokens",
    "cost_nanos", "latency_ms", "first_byte_ms",
)  # fmt: skip
LOG_COLUMNS = LOG_SHARED + LOG_OWN
_LOG_OWN_FROM = 2 + len(LOG_SHARED)  # of a LogRow, whose fields stand in this order behind id and time
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

TIMELINE_COLUMNS = (
    "step_ms", "organization", "owner", "start_at", "requests", "errors", "denied", "input_tokens", "output_tokens",
    "cost_nanos",
)  # fmt: skip
LATENCY_COLUMNS = ("step_ms", "organization", "owner", "start_at", "bucket", "requests")
MINUTE_COLUMNS = ("field", "value", "minute")

_USAGE_COLUMNS = {name: f"{name}_tokens" for name in (
    "input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "output", "reasoning", "audio_output",
)}  # fmt: skip
_CAP = 10**17  # nano-USD: a hundred million USD in one attempt
_RATE_NAMES = tuple(field.name for field in fields(Rates))
# Each revision of the settings brings rate objects of its own: a small cache lets the old ones go.
MAX_RATES_SEEN = 256
_rates_seen: dict[int, tuple[Rates, str]] = {}

# A row's fields are read at once: one by one each costs as much as all of them.
_read_shared: Callable[[LedgerRow], tuple[Any, ...]] = itemgetter(*map(LedgerRow._fields.index, _LEDGER_READ))
_read_own: Callable[[LedgerRow], tuple[int, int, int, int, Rates | None, Usage]] = itemgetter(
    *map(
        LedgerRow._fields.index,
        ("admitted_at", "settled_at", "reserved_nanos", "charged_nanos", "rates", "usage"),
    )
)

Groups = dict[tuple[Any, ...], list[tuple[Any, ...]]]
"""Rows by what they share: the shared values and, last, the step of time → each row's own values."""


def group_ledger(rows: Iterable[LedgerRow]) -> Groups:
    """By `LEDGER_SHARED` and the quarter of an hour of admission; values as in `LEDGER_OWN`."""
    found: Groups = {}
    known_rates, text = None, None
    for row in rows:
        admitted_at, settled_at, reserved_nanos, charged_nanos, rates, used = _read_own(row)
        if rates is not known_rates:
            known_rates, text = rates, None if rates is None else rates_json(rates)
        shared = (
            _read_shared(row), text, used.cache_write, used.cache_write_1h, used.audio_input, used.audio_output,
            used.requests, used.images, used.millis, used.characters, used.searches, admitted_at // SLOT_MS,
        )  # fmt: skip
        own = (
            row[0], admitted_at, settled_at, reserved_nanos, charged_nanos, used.input, used.cached_input,
            used.output, used.reasoning,
        )  # fmt: skip
        group = found.get(shared)
        if group is None:
            found[shared] = [own]
        else:
            group.append(own)
    return {(*read, *further): group for (read, *further), group in found.items()}


def group_logs(rows: Iterable[LogRow], first_seq: int) -> Groups:
    """By `LOG_SHARED` and the minute; values as in `LOG_OWN`, numbered from `first_seq` in the order given."""
    groups: Groups = {}
    for seq, row in enumerate(rows, first_seq):
        request_id, at = row[:2]
        shared = (*row[2:_LOG_OWN_FROM], at // MINUTE_MS)
        own = (request_id, seq, at, *row[_LOG_OWN_FROM:])
        group = groups.get(shared)
        if group is None:
            groups[shared] = [own]
        else:
            group.append(own)
    return groups


def tuple_to_ledger(values: Sequence[Any]) -> LedgerRow:
    """The row whose values stand in the order of `LEDGER_COLUMNS`."""
    row = dict(zip(LEDGER_COLUMNS, values, strict=True))
    rates = row.pop("rates_json")
    usage = Usage(**{f.name: row.pop(_USAGE_COLUMNS.get(f.name, f.name)) for f in fields(Usage)})
    return LedgerRow(**row, rates=None if rates is None else Rates(**orjson.loads(rates)), usage=usage)


def cap_numbers(values: Sequence[Any]) -> tuple[Any, ...]:
    """The values, none so large that adding a few of them up leaves 64 bits."""
    return tuple(min(value, _CAP) if type(value) is int else value for value in values)


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
