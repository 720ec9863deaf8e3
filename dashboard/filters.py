"""How values are written on pages: counts, money, moments. Pure functions, used by templates as filters."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dashboard.browsers import name_browser

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STEPS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def parse_time(text: str) -> datetime:
    """The moment of an RFC 3339 text, UTC. Raises ValueError."""
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def format_count(number: int) -> str:
    """Digits in groups: 1,234,567."""
    return f"{number:,}"


def shorten_count(number: float) -> str:
    """At most three digits and a letter: 999, 1.2K, 35M."""
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(number) >= size * 0.9995:
            short = number / size
            return (
                f"{short:.1f}".removesuffix(".0") + letter if abs(short) < 99.95 else f"{short:.0f}{letter}"
            )
    return f"{number:.1f}".removesuffix(".0")


def format_latency(latency_ms: float | None) -> str:
    """85 ms, 1.24 s, 2 min 5 s; a dash for none."""
    if latency_ms is None:
        return "–"
    if latency_ms < 1000:
        return f"{latency_ms:.0f} ms"
    if latency_ms < 120_000:
        return (
            f"{latency_ms / 1000:.2f}".rstrip("0").rstrip(".") + " s"
            if latency_ms < 9995
            else f"{latency_ms / 1000:.0f} s"
        )
    minutes, seconds = divmod(round(latency_ms / 1000), 60)
    return f"{minutes} min" + (f" {seconds} s" if seconds else "")


def format_money(usd: str) -> str:
    """A decimal string as people read it: $1,234.50; small amounts keep the digits that count."""
    amount = Decimal(usd)
    if amount and abs(amount) < Decimal("0.01"):
        text = f"{amount:.6f}".rstrip("0")
        return f"${text}" if Decimal(text) else "< $0.000001"
    return f"-${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"


def format_day(text: str | None) -> str:
    """3 Nov 2026; nothing for no time."""
    if not text:
        return ""
    at = parse_time(text)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def format_moment(text: str | None) -> str:
    """3 Nov 2026, 14:05:09 UTC; nothing for no time."""
    if not text:
        return ""
    return f"{format_day(text)}, {parse_time(text):%H:%M:%S} UTC"


def format_moment_short(text: str) -> str:
    """3 Nov 14:05:09, UTC left unsaid: for a column that says so."""
    at = parse_time(text)
    return f"{at.day} {_MONTHS[at.month - 1]} {at:%H:%M:%S}"


def format_distance(text: str | None, now: datetime) -> str:
    """How far from now: `2 hours ago`, `in 3 days`, `just now`."""
    if not text:
        return ""
    seconds = (parse_time(text) - now).total_seconds()
    for size, name in _STEPS:
        count = int(abs(seconds) // size)
        if count:
            words = f"{count:,} {name}{'' if count == 1 else 's'}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "in a moment" if seconds > 1 else "just now"


def format_json(value: Any) -> str:
    """JSON over several lines, its characters as they are."""
    return json.dumps(value, indent=2, ensure_ascii=False)


FILTERS: dict[str, Callable[..., Any]] = {
    "count": format_count,
    "browser": name_browser,
    "short": shorten_count,
    "latency": format_latency,
    "money": format_money,
    "day": format_day,
    "moment": format_moment,
    "moment_short": format_moment_short,
    "distance": format_distance,
    "pretty_json": format_json,
}
