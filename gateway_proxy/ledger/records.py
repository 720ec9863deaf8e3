"""The spool's file format: frames with a checksum, and ledger rows as compact JSON lists in them.

A segment is `HEADER`, then frames: magic, payload length, CRC-32 of kind and payload, kind, payload (little
endian). An INTENT holds all that is needed to build a row without the process that wrote it; a SETTLE holds
what came later. Kinds from a newer version are passed over. No files here.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from operator import attrgetter, itemgetter
from typing import Any

import orjson

from gateway_proxy.core.ledger import INTENT_FIELDS, LedgerRow
from gateway_proxy.core.usage import Rates, Usage

HEADER = b"GWSPOOL\x01"
MAGIC = b"\xa7R"
INTENT, SETTLE = 1, 2
MAX_PAYLOAD_BYTES = 1 << 24

_FRAME = struct.Struct("<2sIIB")
# Two frames are made for every request: the functions themselves, without a look-up in their module each time.
_pack, _crc32, _dumps = _FRAME.pack, zlib.crc32, orjson.dumps
_USAGE_NAMES = tuple(f.name for f in fields(Usage))
_RATES_NAMES = tuple(f.name for f in fields(Rates))
_rates_values = attrgetter(*_RATES_NAMES)
_read_settle: Callable[[LedgerRow], tuple[str, int, Rates | None, int, int, str, str, str, Usage]] = (
    itemgetter(0, 1, *range(INTENT_FIELDS, len(LedgerRow._fields)))
)
# Each revision of the settings brings rate objects of its own: a small cache lets the old ones go.
_MAX_KNOWN_RATES = 256
# The same few rates stand in every row; by identity, with the object held so that the identity stays its own.
_known_rates: dict[int, tuple[Rates, orjson.Fragment]] = {}

_UNSETTLED = tuple(LedgerRow._field_defaults.values())[-6:]

RowKey = tuple[str, int]
"""(request id, attempt): a row's identity."""


def frame(kind: int, payload: bytes) -> bytes:
    """One record as it stands in a segment."""
    return _pack(MAGIC, len(payload), _crc32(payload, kind), kind) + payload


def encode_intent(row: LedgerRow) -> bytes:
    """The INTENT frame of a row that is about to be dispatched."""
    return frame(INTENT, _dumps((*row[:INTENT_FIELDS], _encode_rates(row.rates))))


def encode_settle(row: LedgerRow) -> bytes:
    """The SETTLE frame of a finished row."""
    request_id, attempt, rates, settled_at, charged_nanos, source, outcome, model, used = _read_settle(row)
    payload = _dumps(
        (
            request_id, attempt, _encode_rates(rates), settled_at, charged_nanos, source, outcome, model,
            (
                used.input, used.cached_input, used.cache_write, used.cache_write_1h, used.audio_input, used.output,
                used.reasoning, used.audio_output, used.requests, used.images, used.millis, used.characters,
                used.searches,
            ),
        )
    )  # fmt: skip
    return frame(SETTLE, payload)


def _encode_rates(rates: Rates | None) -> orjson.Fragment | None:
    if rates is None:
        return None
    known = _known_rates.get(id(rates))
    if known is None:
        if len(_known_rates) >= _MAX_KNOWN_RATES:
            _known_rates.clear()
        known = _known_rates[id(rates)] = (rates, orjson.Fragment(orjson.dumps(_rates_values(rates))))
    return known[1]


def decode_intent(values: list[Any]) -> LedgerRow:
    """The row as it stood before dispatch."""
    return LedgerRow._make((*values[:INTENT_FIELDS], _decode_rates(values[INTENT_FIELDS]), *_UNSETTLED))


def apply_settle(row: LedgerRow, values: list[Any]) -> LedgerRow:
    """The row completed with its SETTLE."""
    _, _, rates, *ending, used = values
    usage = Usage(**dict(zip(_USAGE_NAMES, used, strict=False)))
    return LedgerRow._make((*row[:INTENT_FIELDS], _decode_rates(rates), *ending, usage))


def _decode_rates(values: list[Any] | None) -> Rates | None:
    return None if values is None else Rates(**dict(zip(_RATES_NAMES, values, strict=False)))


@dataclass(slots=True)
class Scan:
    """What a segment holds up to its first fault.

    `fault` is "" (whole), "torn" (the last write did not finish, nothing readable follows) or "corrupt"
    (damage in the middle: readable records follow it, or the header is not ours). `end` is where the good part ends.
    """

    records: list[tuple[int, list[Any], int]] = field(default_factory=list)  # (kind, values, end offset)
    end: int = 0
    fault: str = ""


def scan(data: bytes) -> Scan:
    """Read a segment; stops at the first record that is not whole."""
    result = Scan()
    if data[: len(HEADER)] != HEADER:
        result.fault = "torn" if HEADER.startswith(data) or not data.strip(b"\0") else "corrupt"
        return result
    result.end = len(HEADER)
    while result.end < len(data):
        good = _read_frame(data, result.end)
        if good is None:
            rest = _frames_after(data, result.end + 1)
            result.fault = "torn" if next(rest, None) is None else "corrupt"
            return result
        kind, values, result.end = good
        if kind in (INTENT, SETTLE):
            result.records.append((kind, values, result.end))
    return result


def _read_frame(data: bytes, offset: int) -> tuple[int, list[Any], int] | None:
    start = offset + _FRAME.size
    if start > len(data):
        return None
    magic, length, checksum, kind = _FRAME.unpack_from(data, offset)
    end = start + length
    if magic != MAGIC or length > MAX_PAYLOAD_BYTES or end > len(data):
        return None
    payload = data[start:end]
    if zlib.crc32(payload, kind) != checksum:
        return None
    try:
        values = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return (kind, values, end) if isinstance(values, list) else None


def _frames_after(data: bytes, offset: int) -> Iterator[int]:
    while (offset := data.find(MAGIC, offset)) >= 0:
        if _read_frame(data, offset) is not None:
            yield offset
        offset += 1
