import csv
import io

import pytest

from dashboard.views.settings import list_settings
from gateway_proxy.admin.actor import Role
from tests.support.dashboard import Dashboard, acting_as

PRICED = {"name": "gpt-4o", "declared": True, "targets": [{"provider": "openai", "model": "gpt-4o"}],
          "price": {"input": "2.50", "output": "10"}, "price_source": "config"}  # fmt: skip


async def test_the_settings_in_force_are_shown_and_come_as_a_file(dashboard: Dashboard) -> None:
    page = await dashboard.get("/settings")
    assert "providers.openai.api_key" in page.text and "***" in page.text
    assert "not in force" not in page.text
    rows = {
        row["setting"]: row["value"]
        for row in csv.DictReader(io.StringIO((await dashboard.get("/settings?format=csv")).text))
    }
    assert rows["server.listen"] == "127.0.0.1:8080"
    assert rows["mcp.servers.github.url"] == "https://github.example.com/mcp"


async def test_a_failed_reload_is_told_with_its_reason(dashboard: Dashboard) -> None:
    dashboard.view.reload_error = "config.toml:3: server.listen: <b> is no address"
    page = await dashboard.get("/settings")
    assert "not in force" in page.text
    assert "server.listen: &lt;b&gt; is no address" in page.text


async def test_models_are_searched_with_their_prices(dashboard: Dashboard) -> None:
    dashboard.view.listed = [PRICED, PRICED | {"name": "free-for-all", "price": None, "price_source": None}]
    page = await dashboard.get("/settings/models?search=GPT")
    assert "$2.50" in page.text and "openai/gpt-4o" in page.text and "free-for-all" not in page.text
    assert "No price" in (await dashboard.get("/settings/models")).text
    assert "No model matches" in (await dashboard.get("/settings/models?search=zzz")).text


async def test_many_models_come_in_pages(dashboard: Dashboard) -> None:
    dashboard.view.listed = [PRICED | {"name": f"model-{n:03}"} for n in range(120)]
    page = await dashboard.get("/settings/models?search=model")
    assert "model-099" in page.text and "model-100" not in page.text
    assert "search=model&amp;cursor=100" in page.text
    assert "model-119" in (await dashboard.get("/settings/models?search=model&cursor=100")).text
    assert len((await dashboard.get("/settings/models?format=csv")).text.splitlines()) == 121


async def test_providers_are_shown_with_their_health(dashboard: Dashboard) -> None:
    page = await dashboard.get("/settings/providers")
    assert "anthropic" in page.text and "Up" in page.text
    assert "No provider matches" in (await dashboard.get("/settings/providers?search=zzz")).text


async def test_members_get_their_tokens_instead(dashboard: Dashboard) -> None:
    dashboard.actor = acting_as(Role.MEMBER)
    assert (await dashboard.get("/settings")).location == "/dashboard/settings/tokens"
    page = await dashboard.get("/settings/providers")
    assert page.status == 200
    assert "Configuration</a>" not in page.text


async def test_a_gateway_that_does_not_answer_is_told(dashboard: Dashboard) -> None:
    dashboard.view.silent = True
    for path in ("/settings", "/settings/models", "/settings/providers", "/configuration/mcp-servers"):
        assert (await dashboard.get(path)).status == 503


@pytest.mark.parametrize(
    ("settings", "pairs"),
    [
        ({"server": {"workers": 1, "tls": {"cert": ""}}}, [("server.workers", "1"), ("server.tls.cert", "not set")]),
        ({"server": {"drain_seconds": 30.0, "x": 0.5}}, [("server.drain_seconds", "30"), ("server.x", "0.5")]),
        ({"models": []}, [("models", "none")]),
        ({"webhooks": [{"url": "u"}]}, [("webhooks[0].url", "u")]),
        ({"logs": {"bodies": False}}, [("logs.bodies", "false")]),
        ({"models": [{"name": "m", "targets": [{"provider": "p"}], "tags": ["a", "b"]}]},
         [("models.m.targets[0].provider", "p"), ("models.m.tags", "a, b")]),
    ],
)  # fmt: skip
def test_settings_are_named_by_their_path(settings: dict[str, object], pairs: list[tuple[str, str]]) -> None:
    ((_, found),) = list_settings(settings)
    assert found == pairs
