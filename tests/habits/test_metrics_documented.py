"""docs/operations.md has a row for every metric, with its type and labels, and for no other."""

import re

from gateway_proxy.telemetry.catalog import METRICS
from tests.habits.sources import ROOT

_ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)


def test_the_table_is_the_catalogue() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = [
        (name, kind, tuple(re.findall("`([a-z_]+)`", labels))) for name, kind, labels, _ in _ROW.findall(text)
    ]
    assert table == [(metric.name, metric.kind, metric.labels) for metric in METRICS]


def test_names_follow_the_conventions() -> None:
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith("."), metric.name
        assert not {"key", "key_id", "owner", "organization", "ip"} & set(metric.labels), metric.name
