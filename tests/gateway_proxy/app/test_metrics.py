"""`/metrics` of a gateway in the test's own loop: every metric of the catalogue, and what changes them."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parse

from gateway_proxy.app.metrics import Metrics, list_families
from gateway_proxy.app.server import reload
from gateway_proxy.telemetry.catalog import METRICS
from gateway_proxy.telemetry.exposition import render
from tests.support.gateway import provider_toml
from tests.support.in_process import Served, serve
from tests.support.raw import make_request, send


def read(served: Served, site: Any = None) -> dict[str, dict[str, float]]:
    """Metric → labels as text → value."""
    page = render(list_families(Metrics(served.gateway, site).sample())).decode()
    families = list(parse(page))
    assert [family.name for family in families] == [metric.name.removesuffix("_total") for metric in METRICS]
    return {
        family.name: {" ".join(sample.labels.values()): sample.value for sample in family.samples} for family in families
    }  # fmt: skip


async def test_what_a_gateway_tells_of_itself(tmp_path: Path) -> None:
    async with serve(tmp_path, provider_toml("http://127.0.0.1:9/v1")) as served:
        gateway = served.gateway
        told = read(served)
        assert told["gateway_proxy_ready"] == {"": 1} and told["gateway_proxy_keys"] == {"": 1}
        assert told["gateway_proxy_provider_health"] == {"fake up": 1, "fake half_open": 0, "fake down": 0}
        assert told["gateway_proxy_unsent_rows"].keys() == {"ledger", "request_log", "events"}
        assert told["gateway_proxy_spool_bytes"][""] > 0 and told["gateway_proxy_spool_up"] == {"": 1}
        assert told["gateway_proxy_admin_process_up"] == {}
        assert read(served, SimpleNamespace(serves=False))["gateway_proxy_admin_process_up"] == {"": 0}

        for _ in range(5):
            gateway.services.breakers.fail(("fake", "m"))
        gateway.spool.failures += 1
        gateway.follower.synced_ns -= 1000 * 10**9
        told = read(served)
        assert told["gateway_proxy_provider_health"]["fake down"] == 1
        assert told["gateway_proxy_spool_failures"] == {"": 1}
        assert told["gateway_proxy_ready"] == {"": 0} and told["gateway_proxy_store_lag_seconds"][""] >= 1000


async def test_a_refused_reload_shows(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        path = tmp_path / "config.toml"
        good = path.read_text()
        before = read(served)
        path.write_text(good + "\n[nonsense]\n")
        await reload(served.gateway, path)
        assert read(served)["gateway_proxy_config_reload_ok"] == {"": 0}
        path.write_text(good + "\n[logs]\nrequests = false\n")
        await reload(served.gateway, path)
        after = read(served)
        assert after["gateway_proxy_config_reload_ok"] == {"": 1}
        assert after["gateway_proxy_config_revision"][""] == before["gateway_proxy_config_revision"][""] + 1
        name = "gateway_proxy_config_applied_timestamp_seconds"
        assert after[name][""] >= before[name][""] > 1e9


async def test_who_is_answered_and_how(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:

        async def get(extra: bytes = b"", method: bytes = b"GET") -> Any:
            data = make_request(
                line=method + b" /metrics HTTP/1.1", framing=b"", body=b"", host=b"Host: a\r\n" + extra
            )
            return await asyncio.to_thread(send, served.port, data)

        page = await get()
        assert page.status == 200 and b"gateway_proxy_build_info" in page.body
        assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
        page = await get(b"Accept: application/openmetrics-text\r\n")
        assert page.body.endswith(b"# EOF\n")
        assert page.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        refused = await get(b"X-Forwarded-For: 192.0.2.1\r\n")
        assert (refused.status, refused.code) == (401, "admin_token_required")
        assert (await get(method=b"PUT")).status == 405
