"""The range of time that a page is about, as its address says it: `?range=24h`, or `?range=custom&from=…&to=…` in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RANGES = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}
_SPANS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
CUSTOM = "custom"
ANY = "any"
ANY_TIME = {ANY: "Any time", **RANGES}


@dataclass(frozen=True, slots=True)
class Range:
    """From `start_ms` to `end_ms` (exclusive), Unix milliseconds. `error` says why the address was not followed."""

    name: str
    start_ms: int
    end_ms: int
    error: str = ""

    @property
    def label(self) -> str:
        return RANGES.get(self.name, "Chosen range")

    @property
    def start_text(self) -> str:
        """As a `datetime-local` field writes it."""
        return _write(self.start_ms)

    @property
    def end_text(self) -> str:
        return _write(self.end_ms)

    @property
    def query(self) -> dict[str, str]:
        """What stands in an address that shows the same range."""
        if self.name != CUSTOM:
            return {"range": self.name}
        return {"range": CUSTOM, "from": self.start_text, "to": self.end_text}


def read_range(query: Mapping[str, str], now: datetime, default: str = "24h") -> Range:
    """The range of an address; the default one, with its error, if it cannot be read."""
    name = query.get("range", "")
    if name == CUSTOM or (not name and ("from" in query or "to" in query)):
        try:
            end = _read(query.get("to", ""), now)
            start = _read(query.get("from", ""), end - timedelta(days=1))
        except (ValueError, OverflowError):
            return _last(default, now, "A time is written 2026-11-03T14:00, in UTC.")
        if start >= end:
            return _last(default, now, "The range must begin before it ends.")
        return Range(CUSTOM, _ms(start), _ms(end))
    if name and name not in _SPANS:
        return _last(default, now, f"There is no such range; choose one of {', '.join(_SPANS)} or custom.")
    return _last(name or default, now)


def read_any_range(query: Mapping[str, str], now: datetime) -> Range:
    """As `read_range`; from the beginning to now where the address says so, or names no range at all."""
    if query.get("range") == ANY or not {"range", "from", "to"} & set(query):
        return Range(ANY, 0, _ms(now))
    return read_range(query, now)


def _last(name: str, now: datetime, error: str = "") -> Range:
    return Range(name, _ms(now - _SPANS[name]), _ms(now), error)


def _read(text: str, default: datetime) -> datetime:
    if not text:
        return default
    moment = datetime.fromisoformat(text.upper())
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if not 1970 < moment.year < 9999:
        raise ValueError("the year is out of range")
    return moment


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _write(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M")
