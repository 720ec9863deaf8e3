"""Metrics of a running gateway: they say what the books say, to operators and to nobody else."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from gateway_proxy.telemetry.catalog import METRICS
from tests.support.clients import closed_port
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import RunningGateway, provider_toml

_MODEL = """
[[models]]
name = "chat"
targets = [{ provider = "fake", model = "fake-1" }]
price = { input = 1, output = 2 }
"""
Labels = tuple[str, ...]


@pytest.fixture(scope="module")
def gateway(provider: FakeProvider, run_gateway: Callable[..., RunningGateway]) -> RunningGateway:
    return run_gateway(
        provider_toml(provider.base_url) + _MODEL,
        server=f'drain_seconds = 2\nadmin_listen = "127.0.0.1:{closed_port()}"',
    )


def fetch(
    gateway: RunningGateway, headers: dict[str, str] | None = None, path: str = "/metrics"
) -> tuple[int, str]:
    host = gateway.admin_url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def read(gateway: RunningGateway) -> dict[str, dict[Labels, float]]:
    """Sample name → label values → value."""
    status, text = fetch(gateway)
    assert status == 200
    read_back: dict[str, dict[Labels, float]] = {}
    for family in parse_plain(text):
        for sample in family.samples:
            read_back.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return read_back


def call(gateway: RunningGateway, secret: str, **members: Any) -> int:
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], **members}
    request = urllib.request.Request(
        f"{gateway.url}/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {secret}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_metrics_say_what_the_books_say(gateway: RunningGateway) -> None:
    secret = gateway.create_key().secret
    assert [call(gateway, secret, stream=stream) for stream in (False, True, False)] == [200, 200, 200]
    assert call(gateway, secret, model="made-up") == 404
    assert call(gateway, "gwk_nonsense") == 401
    rows = gateway.settled_rows()
    told = read(gateway)
    requests = told["gateway_proxy_requests_total"]
    assert requests[("chat", "fake", "chat", "200", "completed")] == 3
    assert requests[("chat", "", "other", "404", "denied")] == 1
    refusals = {code: count for code, count in told["gateway_proxy_refusals_total"].items() if count}
    assert refusals == {("model_not_found",): 1, ("invalid_api_key",): 1}
    cost = sum(row["charged_nanos"] for row in rows) / 1e9
    assert cost > 0 and told["gateway_proxy_cost_usd_total"][("fake", "chat")] == pytest.approx(
        cost, abs=1e-12
    )
    tokens = told["gateway_proxy_tokens_total"]
    for name in ("input", "output"):
        assert tokens[("fake", "chat", name)] == sum(row[f"{name}_tokens"] for row in rows)
    assert told["gateway_proxy_request_duration_seconds_count"] == {
        ("fake", "chat", "false"): 2,
        ("fake", "chat", "true"): 1,
    }
    assert told["gateway_proxy_time_to_first_token_seconds_count"] == {("fake", "chat"): 1}
    assert told["gateway_proxy_attempts_total"] == {("fake", "completed", "provider"): 3}
    before, after = told, read(gateway)
    for name in before:
        if name.endswith(("_total", "_count", "_bucket", "_sum")):
            assert all(after[name][labels] >= value for labels, value in before[name].items()), name


def test_both_formats_are_valid_and_name_no_key(gateway: RunningGateway) -> None:
    key = gateway.create_key("named-in-no-label")
    call(gateway, key.secret)
    wanted = [metric.name.removesuffix("_total") for metric in METRICS]
    for accept, parse in (("text/plain", parse_plain), ("application/openmetrics-text", parse_open)):
        status, text = fetch(gateway, {"accept": accept})
        assert status == 200 and [family.name for family in parse(text)] == wanted
        assert not any(word in text for word in (key.id, key.secret, "key_", "named-in-no-label", "ada@"))


def test_for_operators_only(gateway: RunningGateway) -> None:
    elsewhere = {"x-forwarded-for": "192.0.2.1"}
    assert gateway.fetch("/metrics")[0] == 404  # it has an address of its own
    assert fetch(gateway, elsewhere)[0] == 401
    for role, status in (("viewer", 200), ("owner", 200)):
        token = gateway.admin_token(role)
        assert fetch(gateway, {**elsewhere, "authorization": f"Bearer {token}"})[0] == status
    stranger = gateway.admin_token("owner", "elsewhere")
    assert fetch(gateway, {**elsewhere, "authorization": f"Bearer {stranger}"})[0] == 401
    assert json.loads(fetch(gateway, elsewhere, "/readyz")[1]) == {"status": "ready"}
    with_token = {**elsewhere, "authorization": f"Bearer {gateway.admin_token('viewer')}"}
    assert json.loads(fetch(gateway, with_token, "/readyz")[1])["keys"] > 0
    assert "gateway_proxy_admin_process_up" not in read(gateway)  # nobody has asked for it yet
    assert fetch(gateway, with_token, "/api/v1/keys")[0] == 200
    assert read(gateway)["gateway_proxy_admin_process_up"] == {(): 1}
