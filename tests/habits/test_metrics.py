"""Documents, alert rules and the dashboard name the metrics that exist, with the labels that they have."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gateway_proxy.telemetry.catalog import METRICS
from gateway_proxy.telemetry.tally import SHOWN_FROM_START
from tests.habits.sources import ROOT

_ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)
_SELECTOR = re.compile(r"\b(gateway_proxy_[a-z0-9_]+|process_[a-z0-9_]+)(?:\{([^}]*)\})?")
_FROM_PROMETHEUS = {"instance", "job", "le"}
LABELS = {
    metric.name: set(metric.labels) | _FROM_PROMETHEUS for metric in METRICS if metric.kind != "histogram"
} | {
    metric.name + suffix: set(metric.labels) | _FROM_PROMETHEUS
    for metric in METRICS
    if metric.kind == "histogram"
    for suffix in ("_bucket", "_sum", "_count")
}


def find_strangers(expression: str) -> list[str]:
    """The metrics that do not exist, and matchers on labels that they do not have."""
    strangers = []
    for name, matchers in _SELECTOR.findall(expression):
        if name not in LABELS:
            strangers.append(name)
            continue
        used = set(re.findall(r'([a-z_]+)\s*(?:=~|!=|!~|=)\s*"', matchers))
        strangers += [f"{name}{{{label}}}" for label in used - LABELS[name]]
    return strangers


def load_alerts() -> list[dict[str, Any]]:
    text = (ROOT / "deploy/prometheus/alerts.yml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def load_dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(
        (ROOT / "deploy/grafana/gateway-proxy.json").read_text(encoding="utf-8")
    )
    return dashboard


def list_queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(where, expression) of panels, variables and annotations."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


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


def test_alerts_ask_for_what_exists() -> None:
    alerts = load_alerts()
    assert len(alerts) > 20 and len({rule["alert"] for rule in alerts}) == len(alerts)
    wrong = {rule["alert"]: find_strangers(rule["expr"]) for rule in alerts if find_strangers(rule["expr"])}
    assert not wrong
    for rule in alerts:
        assert (
            rule["labels"]["severity"] in ("critical", "warning", "info") and rule["annotations"]["summary"]
        )


def test_every_alert_is_explained() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(Gateway[A-Za-z]+)` \|", text, re.MULTILINE)
    assert explained == [rule["alert"] for rule in load_alerts()]


def test_codes_that_alerts_watch_are_there_from_the_start() -> None:
    watched = {code for rule in load_alerts() for code in re.findall(r'code="([a-z_]+)"', rule["expr"])}
    assert watched and not watched - set(SHOWN_FROM_START)


def test_the_dashboard_asks_for_what_exists() -> None:
    dashboard = load_dashboard()
    queries = list(list_queries(dashboard))
    assert len(queries) > 30
    assert not {where: find_strangers(query) for where, query in queries if find_strangers(query)}
    variables = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval"}
    used = {name for _, query in queries for name in re.findall(r"\$\{?(\w+)", query)}
    assert used <= variables


def test_the_dashboard_groups_by_what_its_metrics_have() -> None:
    wrong = []
    for panel in load_dashboard()["panels"]:
        for target in panel.get("targets", ()):
            expression, legend = target["expr"], target["legendFormat"]
            assert all(expression.count(a) == expression.count(b) for a, b in ("()", "[]", "{}")), expression
            names = [name for name, _ in _SELECTOR.findall(expression)]
            known = set[str]().union(*(LABELS[name] for name in names))
            groups = re.findall(r"\bby \(([^)]*)\)", expression)
            grouped = {label for group in groups for label in re.findall(r"\w+", group)}
            shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
            wrong += [(panel["title"], label) for label in grouped - known]
            wrong += [(panel["title"], label) for label in shown - (grouped if groups else known)]
    assert not wrong


def test_the_dashboard_is_of_the_form_that_grafana_imports() -> None:
    dashboard = load_dashboard()
    assert dashboard["schemaVersion"] >= 36 and dashboard["uid"] and "id" not in dashboard
    sources = {"type": "prometheus", "uid": "${datasource}"}
    for panel in dashboard["panels"]:
        assert panel["type"] in (
            "row",
            "stat",
            "timeseries",
            "table",
            "bargauge",
            "heatmap",
            "gauge",
            "piechart",
        )
        if panel["type"] == "row":
            continue
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        assert panel["datasource"] == sources
        assert all(target["datasource"] == sources for target in panel["targets"])
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_the_dashboard_s_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    ids = [panel["id"] for panel in load_dashboard()["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in load_dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@pytest.mark.parametrize(
    ("expression", "strangers"),
    [
        ('rate(gateway_proxy_requests_total{status=~"5.."}[5m])', []),
        ("gateway_proxy_requests", ["gateway_proxy_requests"]),
        ("gateway_proxy_request_duration_seconds", ["gateway_proxy_request_duration_seconds"]),
        ('gateway_proxy_ready{model="m"}', ["gateway_proxy_ready{model}"]),
    ],
)
def test_strangers_are_found(expression: str, strangers: list[str]) -> None:
    assert find_strangers(expression) == strangers
