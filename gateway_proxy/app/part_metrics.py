"""The metrics of one gateway out of those of its processes.

What is counted is added up, what has ended included, so that nothing that a scraper has seen ever falls. Gauges are added up as
well where each process has a share of the whole, else the one that wants attention, or the newest, stands for all.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from gateway_proxy.telemetry.catalog import METRICS
from gateway_proxy.telemetry.exposition import Histogram, Samples, Value

_LEAST = frozenset(
    ("gateway_proxy_ready", "gateway_proxy_spool_up", "gateway_proxy_store_up", "gateway_proxy_audit_log_up", "gateway_proxy_shared_counters_up",
     "gateway_proxy_config_reload_ok", "gateway_proxy_config_revision", "gateway_proxy_admin_process_up",
     "process_start_time_seconds")
)  # fmt: skip
_MOST = frozenset(
    ("gateway_proxy_build_info", "gateway_proxy_store_lag_seconds", "gateway_proxy_keys", "gateway_proxy_provider_health",
     "gateway_proxy_config_applied_timestamp_seconds", "process_max_fds")
)  # fmt: skip
_COUNTED = frozenset(metric.name for metric in METRICS if metric.kind != "gauge")


def merge(parts: Iterable[Mapping[str, Samples]]) -> dict[str, Samples]:
    """The samples of all, by metric."""
    merged: dict[str, dict[tuple[str, ...], Value | Histogram]] = {}
    for part in parts:
        for name, samples in part.items():
            into = merged.setdefault(name, {})
            combine = _choose(name)
            for labels, value in samples.items():
                into[labels] = combine(into[labels], value) if labels in into else value
    return dict(merged)


def keep_counted(part: Mapping[str, Samples]) -> dict[str, Samples]:
    """What still counts of a process that has ended."""
    return {name: samples for name, samples in part.items() if name in _COUNTED}


def _choose(name: str) -> Callable[[Any, Any], Any]:
    return min if name in _LEAST else max if name in _MOST else _add


def _add(one: Value | Histogram, other: Value | Histogram) -> Value | Histogram:
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        total = Histogram(one.bounds)
        total.counts = [mine + theirs for mine, theirs in zip(one.counts, other.counts, strict=True)]
        total.sum = one.sum + other.sum
        return total
    assert not isinstance(one, Histogram) and not isinstance(other, Histogram)
    if isinstance(one, str) or isinstance(other, str):  # written out, since a float would round it
        return f"{Decimal(one) + Decimal(other):f}"
    return one + other
