"""Metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0. What is measured is said elsewhere.

Sources: prometheus.io "Exposition formats", and the OpenMetrics 1.0 specification.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_OPEN_METRICS_TYPE = "application/openmetrics-text"
_PLAIN_TYPES = ("text/plain", "text/*", "*/*")
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})

Value = int | float | str
"""A string is a number that is written already, where a float would round it."""


class Metric(NamedTuple):
    """What a metric is. `name` is that of its samples; a counter's ends in `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


class Histogram:
    """Counts by upper bound; bounds and observed values are integers in the same unit."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0

    def observe(self, value: int, count: int = 1) -> None:
        """A bucket holds what is at most its bound; negative values (a clock that was set back) count as 0."""
        self.counts[bisect_left(self.bounds, value)] += count
        if value > 0:
            self.sum += value * count


Samples = Mapping[tuple[str, ...], Value | Histogram]
"""By the values of the labels, in the metric's order."""


def choose_format(accept: str) -> str:
    """PLAIN or OPEN_METRICS, by an Accept header; whatever it says, one of them is answered."""
    quality = dict.fromkeys((_OPEN_METRICS_TYPE, *_PLAIN_TYPES), 0.0)
    for part in accept.split(","):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if media in quality:
            quality[media] = max(quality[media], _read_quality(parameters))
    wanted = quality.pop(_OPEN_METRICS_TYPE)
    return OPEN_METRICS if wanted and wanted >= quality["text/plain"] else PLAIN


def _read_quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def render(families: Iterable[tuple[Metric, Samples]], content_type: str = PLAIN) -> bytes:
    """The whole page. Histograms are observed in milliseconds and written in seconds."""
    is_open = content_type == OPEN_METRICS
    lines: list[str] = []
    for metric, samples in families:
        name = metric.name.removesuffix("_total") if is_open else metric.name
        escapes = _ESCAPES if is_open else _HELP_ESCAPES
        lines.append(f"# HELP {name} {metric.help.translate(escapes)}")
        lines.append(f"# TYPE {name} {metric.kind}")
        for values, value in samples.items():
            labels = ",".join(
                [
                    f'{label}="{text.translate(_ESCAPES)}"'
                    for label, text in zip(metric.labels, values, strict=True)
                ]
            )
            if isinstance(value, Histogram):
                lines += _list_buckets(metric.name, labels, value)
            else:
                lines.append(f"{metric.name}{{{labels}}} {value}" if labels else f"{metric.name} {value}")
    if is_open:
        lines.append("# EOF")
    lines.append("")
    return "\n".join(lines).encode()


def _list_buckets(name: str, labels: str, histogram: Histogram) -> list[str]:
    before = f"{labels}," if labels else ""
    lines = []
    seen = 0
    for bound, count in zip(histogram.bounds, histogram.counts, strict=False):
        seen += count
        lines.append(f'{name}_bucket{{{before}le="{bound / 1000}"}} {seen}')
    seen += histogram.counts[-1]
    lines.append(f'{name}_bucket{{{before}le="+Inf"}} {seen}')
    end = f"{{{labels}}}" if labels else ""
    lines.append(f"{name}_sum{end} {histogram.sum / 1000}")
    lines.append(f"{name}_count{end} {seen}")
    return lines
