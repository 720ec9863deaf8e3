"""The time zones that a form offers: the names of the IANA database that stand for places."""

import functools
import zoneinfo

_AREAS = frozenset(
    ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
)  # fmt: skip


@functools.cache
def list_timezones() -> tuple[str, ...]:
    """`UTC`, then the others by name. Where no database is installed, UTC alone."""
    places = sorted(name for name in zoneinfo.available_timezones() if name.partition("/")[0] in _AREAS)
    return ("UTC", *(name for name in places if "/" in name))
