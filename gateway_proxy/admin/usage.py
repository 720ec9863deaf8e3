"""Reports of usage and spend: sums from the books, by what one likes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.paging import read_offset
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.admin.roles import visible_owner
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.money import format_usd
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.key_search import KeyLabel
from gateway_proxy.storage.reports import GroupBy, UsageRow
from gateway_proxy.storage.store import Store

DAY_MS = 86_400_000
DEFAULT_DAYS = 30
MAX_GROUPS = 4
METADATA = "metadata."
_GROUPS: tuple[GroupBy, ...] = ("key", "owner", "model", "provider", "day", "hour")
_SUMS = tuple(field.name for field in fields(UsageRow))[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """Whole UTC hours from `start_ms` to `end_ms` (exclusive); `group_by` names groups or `metadata.FIELD`."""

    start_ms: int | None = None
    end_ms: int | None = None
    group_by: Sequence[str] = ()
    key_id: str | None = None
    owner: str | None = None
    model: str | None = None
    provider: str | None = None
    limit: int = 1000
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class UsageReport:
    """One page of groups; the totals are of all of them."""

    start_at: str
    end_at: str
    data: list[dict[str, Any]]
    totals: dict[str, Any]
    next_cursor: str | None


class UsageAdmin:
    """Members see what their own keys used. Metadata is a key's as it stands now."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def report(self, actor: Actor, query: UsageQuery) -> UsageReport:
        """Days and hours in order, everything else by what it cost, the dearest first. Raises Invalid."""
        names = _read_groups(query.group_by)
        end_ms = self._clock.now_ms() if query.end_ms is None else query.end_ms
        start_ms = end_ms - DEFAULT_DAYS * DAY_MS if query.start_ms is None else query.start_ms
        if start_ms >= end_ms:
            raise Invalid([FieldError("from", "must be before the end of the report")])
        start = read_offset(query.cursor)
        own = visible_owner(actor)
        stored = _stored_groups(names)
        rows = await self._store.reports.usage(
            stored, start_ms, end_ms,
            organization=actor.organization, owner=query.owner if own is None else own,
            key_id=query.key_id, model=query.model, provider=query.provider,
        )  # fmt: skip
        labels = await self._labels(rows, stored)
        # Without groups there is nothing beside the totals.
        found = _fold(names, stored, rows, labels) if names else []
        groups = sorted(found, key=lambda group: _order(names, group))
        totals = [sum(getattr(row, name) for row in rows) for name in _SUMS]
        end = start + query.limit
        return UsageReport(
            format_time(start_ms) or "",
            format_time(end_ms) or "",
            [_group_object(names, group, sums, labels) for group, sums in groups[start:end]],
            _sums_object(totals),
            str(end) if end < len(groups) else None,
        )

    async def _labels(self, rows: Sequence[UsageRow], stored: Sequence[GroupBy]) -> dict[str, KeyLabel]:
        if "key" not in stored:
            return {}
        column = stored.index("key")
        return await self._store.keys.labels(sorted({row.group[column] for row in rows} - {""}))


_Group = tuple[tuple[str | None, ...], list[int]]


def _read_groups(group_by: Sequence[str]) -> list[str]:
    errors = []
    for name in group_by:
        if name not in _GROUPS and not (name.startswith(METADATA) and len(name) > len(METADATA)):
            known = ", ".join(_GROUPS)
            errors.append(
                FieldError("group_by", f"{name[:60]!a} is unknown; use any of {known}, metadata.FIELD")
            )
    names = list(dict.fromkeys(group_by))
    if len(names) > MAX_GROUPS:
        errors.append(FieldError("group_by", f"at most {MAX_GROUPS} at once"))
    if errors:
        raise Invalid(errors)
    return names


def _stored_groups(names: Sequence[str]) -> list[GroupBy]:
    """What the books are asked for: metadata belongs to keys."""
    known: dict[str, GroupBy] = {name: name for name in _GROUPS}
    return list(dict.fromkeys(known.get(name, "key") for name in names))


def _fold(
    names: Sequence[str], stored: Sequence[GroupBy], rows: Sequence[UsageRow], labels: Mapping[str, KeyLabel]
) -> list[_Group]:
    """Sums by what was asked for; several keys may have the same metadata."""
    folded: dict[tuple[str | None, ...], list[int]] = {}
    for row in rows:
        have = dict(zip(stored, row.group, strict=True))
        group = tuple(
            _metadata_text(labels.get(have["key"]), name) if name.startswith(METADATA) else have[name]  # type: ignore[index]  # the others are of the stored ones
            for name in names
        )
        sums = [getattr(row, name) for name in _SUMS]
        before = folded.get(group)
        folded[group] = sums if before is None else [a + b for a, b in zip(before, sums, strict=True)]
    return list(folded.items())


def _metadata_text(label: KeyLabel | None, name: str) -> str | None:
    value = None if label is None else label.metadata.get(name.removeprefix(METADATA))
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _order(names: Sequence[str], group: _Group) -> Any:
    values, sums = group
    times = [value for name, value in zip(names, values, strict=True) if name in ("day", "hour")]
    return (times, -sums[_SUMS.index("cost_nanos")], -sums[0], [value or "" for value in values])


def _group_object(
    names: Sequence[str], values: Sequence[str | None], sums: Sequence[int], labels: Mapping[str, KeyLabel]
) -> dict[str, Any]:
    shown: dict[str, Any] = dict(zip(names, values, strict=True))
    if "key" in shown:
        label = labels.get(shown["key"])
        shown["key_name"] = "" if label is None else f"{label.name}, deleted" if label.deleted else label.name
    return shown | _sums_object(sums)


def _sums_object(sums: Sequence[int]) -> dict[str, Any]:
    shown: dict[str, Any] = dict(zip(_SUMS, sums, strict=True))
    shown["cost_usd"] = format_usd(shown.pop("cost_nanos"))
    return shown
