"""Reads counts out of usage objects, for all dialects: what cannot be a count raises."""

from collections.abc import Mapping
from typing import Any

LARGEST_COUNT = 10**12


class UnbelievableUsage(ValueError):
    """The provider sent something that is no count."""


def take_count(wanted: int, available: int) -> tuple[int, int]:
    """(what of `available` is taken, what is left)."""
    taken = min(wanted, available)
    return taken, available - taken


def find_details(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of these objects that is there; empty if none is. Raises UnbelievableUsage."""
    for name in names:
        found = raw.get(name)
        if found is None:
            continue
        if type(found) is not dict:
            raise UnbelievableUsage(f"{name} is not an object")
        return found
    return {}


def first_count(raw: Mapping[str, Any], *names: str) -> int | None:
    """The first of these counts that is there; null counts as missing. Raises UnbelievableUsage."""
    for name in names:
        found = raw.get(name)
        if found is None:
            continue
        if type(found) is float and found.is_integer():
            found = int(found)
        if type(found) is not int or not 0 <= found <= LARGEST_COUNT:
            raise UnbelievableUsage(f"{name} is not a count")
        return found
    return None
