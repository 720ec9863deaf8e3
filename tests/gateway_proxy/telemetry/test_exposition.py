"""The text of metrics, read back by the parsers of Prometheus and OpenMetrics."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from gateway_proxy.telemetry.exposition import (
    OPEN_METRICS,
    PLAIN,
    Histogram,
    Metric,
    Samples,
    choose_format,
    render,
)

NASTY = 'a "quote", a \\ and a\nline'
PARSERS = [(PLAIN, parse_plain), (OPEN_METRICS, parse_open)]
Parse = Callable[[str], Iterable[Any]]


def read(families: list[tuple[Metric, Samples]], content_type: str, parse: Parse) -> dict[str, Any]:
    text = render(families, content_type).decode()
    assert text.endswith("# EOF\n" if content_type == OPEN_METRICS else "\n")
    return {family.name: family for family in parse(text)}


@pytest.mark.parametrize(("content_type", "parse"), PARSERS)
def test_counters_and_gauges(content_type: str, parse: Parse) -> None:
    families: list[tuple[Metric, Samples]] = [
        (
            Metric("things_total", "counter", NASTY, ("kind", "of")),
            {(NASTY, ""): 3, ("b", "c"): "0.000000001"},
        ),
        (Metric("size_bytes", "gauge", "Plain."), {(): 2.5}),
        (Metric("empty", "gauge", "Nothing yet.", ("a",)), {}),
    ]
    read_back = read(families, content_type, parse)
    things = read_back["things"]
    assert things.type == "counter" and things.documentation == NASTY
    assert {(s.labels["kind"], s.labels["of"]): s.value for s in things.samples} == {
        (NASTY, ""): 3.0,
        ("b", "c"): 1e-9,
    }
    assert {s.name for s in things.samples} == {"things_total"}
    assert [s.value for s in read_back["size_bytes"].samples] == [2.5]
    assert read_back["empty"].samples == []


@pytest.mark.parametrize(("content_type", "parse"), PARSERS)
@pytest.mark.parametrize("labels", [(), ("model",)])
def test_histograms(content_type: str, parse: Parse, labels: tuple[str, ...]) -> None:
    histogram = Histogram((5, 1000, 60_000))
    for value in (-4, 0, 5, 6, 1000, 60_001):
        histogram.observe(value)
    metric = Metric("wait_seconds", "histogram", "Waiting.", labels)
    family = read([(metric, {("m",)[: len(labels)]: histogram})], content_type, parse)["wait_seconds"]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name == "wait_seconds_bucket"}
    assert {float(bound): count for bound, count in buckets.items()} == {
        0.005: 3,
        1: 5,
        60: 5,
        float("inf"): 6,
    }
    rest = {s.name: s.value for s in family.samples if s.name != "wait_seconds_bucket"}
    assert rest == {"wait_seconds_sum": pytest.approx(61.012), "wait_seconds_count": 6}
    assert all(s.labels.get("model", "m") == "m" for s in family.samples)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html,*/*;q=0.8", PLAIN),
        ("application/json", PLAIN),
        ("application/openmetrics-text", OPEN_METRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", OPEN_METRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; q=0.2, text/plain;q=0.3", PLAIN),
        ("application/openmetrics-text;q=0", PLAIN),
        ("application/openmetrics-text;q=x", PLAIN),
    ],
)  # fmt: skip
def test_the_format_that_is_asked_for(accept: str, wanted: str) -> None:
    assert choose_format(accept) == wanted
