"""Charts as shapes that a template writes as SVG: no script is needed, and a table says the same beside each.

Shapes stand in a box of WIDTH × HEIGHT that is stretched to the page; texts are HTML around it, so that they keep
their size on a small screen. Pure functions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

WIDTH, HEIGHT = 1000, 160
_GAP = 0.22  # of a step, between bars
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_SECONDS = 86_400
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One value a step; None where there is none. `tone` names a colour of charts.css."""

    name: str
    tone: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    tone: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """`dots` marks the values that have none beside them."""

    tone: str
    path: str
    dots: str


@dataclass(frozen=True, slots=True)
class Slot:
    """One step's place, and what stands there in words."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`y_ticks` from the top down, evenly spaced; `x_ticks` from left to right likewise. `rows` are the table."""

    name: str
    title: str
    summary: str
    legend: Sequence[Series]
    bars: Sequence[Bar]
    lines: Sequence[Line]
    slots: Sequence[Slot]
    y_ticks: Sequence[str]
    x_ticks: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    empty: bool


def stack(
    name: str,
    title: str,
    summary: str,
    starts: Sequence[datetime],
    step_seconds: int,
    series: Sequence[Series],
    write: Write,
) -> Chart:
    """Bars, the series on top of each other."""
    top = _find_top(series, [sum(one.values[n] or 0 for one in series) for n in range(len(starts))])
    step = WIDTH / max(1, len(starts))
    bars = []
    for n in range(len(starts)):
        below = 0.0
        for one in series:
            height = (one.values[n] or 0) / top * HEIGHT
            if height > 0:
                x, width = (n + _GAP / 2) * step, step * (1 - _GAP)
                bars.append(
                    Bar(one.tone, _short(x), _short(HEIGHT - below - height), _short(width), _short(height))
                )
            below += height
    return _chart(name, title, summary, starts, step_seconds, series, write, top, bars, ())


def draw(
    name: str,
    title: str,
    summary: str,
    starts: Sequence[datetime],
    step_seconds: int,
    series: Sequence[Series],
    write: Write,
) -> Chart:
    """Lines, broken where a step has no value."""
    top = _find_top(series, [value for one in series for value in one.values if value is not None])
    step = WIDTH / max(1, len(starts))
    lines = [Line(one.tone, *_path(one.values, step, top)) for one in series]
    return _chart(name, title, summary, starts, step_seconds, series, write, top, (), lines)


def round_up(value: float) -> float:
    """The end of an axis: 1, 2, 4, 6 or 8 times a power of ten, not below the value."""
    if value <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next(times * power for times in (1, 2, 4, 6, 8, 10) if times * power >= value * 0.999999)


def describe_step(start: datetime, step_seconds: int, span_seconds: float) -> str:
    """How a step is called: `14:30` within a day, `3 Nov, 14:00` within months, `3 Nov` for days."""
    day = f"{start.day} {_MONTHS[start.month - 1]}"
    if step_seconds >= _DAY_SECONDS:
        return day if span_seconds < 300 * _DAY_SECONDS else f"{day} {start.year}"
    return f"{start:%H:%M}" if span_seconds <= _DAY_SECONDS * 1.1 else f"{day}, {start:%H:%M}"


def _chart(
    name: str,
    title: str,
    summary: str,
    starts: Sequence[datetime],
    step_seconds: int,
    series: Sequence[Series],
    write: Write,
    top: float,
    bars: Sequence[Bar],
    lines: Sequence[Line],
) -> Chart:
    step = WIDTH / max(1, len(starts))
    span = len(starts) * step_seconds
    rows = []
    slots = []
    for n, start in enumerate(starts):
        label = describe_step(start, step_seconds, span)
        cells = ["" if (value := one.values[n]) is None else write(value) for one in series]
        rows.append((label, cells))
        said = ", ".join(
            f"{one.name.lower()} {cell or 'none'}" for one, cell in zip(series, cells, strict=True)
        )
        slots.append(Slot(_short(n * step), _short(step), f"{label}: {said}"))
    return Chart(
        name, title, summary, series, bars, lines, slots,
        y_ticks=[write(top), write(top / 2), write(0)],
        x_ticks=_mark_times(starts, step_seconds),
        rows=rows,
        empty=not any(value for one in series for value in one.values),
    )  # fmt: skip


def _find_top(series: Sequence[Series], values: Sequence[float]) -> float:
    top = round_up(max(values, default=0))
    whole = all(isinstance(value, int) for one in series for value in one.values if value is not None)
    return max(top, 2) if whole else top  # no half of a request in the middle of the axis


def _path(values: Sequence[float | None], step: float, top: float) -> tuple[str, str]:
    line, dots = [], []
    drawing = False
    for n, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        place = f"{_short((n + 0.5) * step)} {_short(HEIGHT - value / top * HEIGHT)}"
        if not drawing and (n + 1 == len(values) or values[n + 1] is None):
            dots.append(f"M{place}h0")
        else:
            line.append(f"{'L' if drawing else 'M'}{place}")
            drawing = True
    return "".join(line), "".join(dots)


def _mark_times(starts: Sequence[datetime], step_seconds: int) -> list[str]:
    """At most five, and no more than there are steps to mark."""
    if not starts:
        return []
    first, span = starts[0].timestamp(), len(starts) * step_seconds
    called = 1 if span <= _DAY_SECONDS * 5 and step_seconds < _DAY_SECONDS else _DAY_SECONDS
    parts = min(4, len(starts))
    times = [first + round(len(starts) * part / parts) * step_seconds for part in range(parts + 1)]
    return [describe_step(datetime.fromtimestamp(at, UTC), called, span) for at in times]


def _short(value: float) -> float:
    return round(value, 2)
