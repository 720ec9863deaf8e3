"""Explain without a gateway: budgets from the books, buckets as untouched."""

from pathlib import Path

import pytest

from gateway_proxy.admin.problem import Unavailable
from gateway_proxy.app.offline import StoreView
from gateway_proxy.config import load_config
from gateway_proxy.core.clock import FakeClock
from gateway_proxy.core.ledger import LedgerRow
from gateway_proxy.core.store import Batch
from gateway_proxy.explain import Question
from gateway_proxy.keys.service import Caller, KeyService
from gateway_proxy.storage import open_store
from tests.support.plugins import InstallPlugin

SETTINGS = """
[[providers]]
name = "one"
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
[[models]]
name = "m"
targets = [{ provider = "one", model = "m" }]
price = { input = 1, output = 1 }
"""


async def test_spend_and_reservations_are_those_of_the_books(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(SETTINGS)
    clock = FakeClock()
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=clock)
    keys = KeyService(store.keys, clock, b"pepper")
    members = {"name": "a", "budget_usd": "1", "requests_per_minute": 3}
    key = (await keys.create(members, Caller("t"), organization="default")).key
    view, question = (
        StoreView(store, load_config(tmp_path / "config.toml"), clock),
        Question(model="m").to_json(),
    )

    async def details() -> dict[str, str]:
        told = await view.explain(key.id, question)
        return {v["rule"]: v["detail"] for v in told["verdicts"]}

    assert "$1.00 of $1.00 left" in (await details())["budget"]
    row = LedgerRow(
        "req_1",
        1,
        "gtw_1",
        "default",
        key.id,
        "one",
        "m",
        "m",
        "chat",
        clock.now_ms(),
        charged_nanos=4 * 10**8,
    )
    await store.ledger.append("gtw_1", Batch(ledger=[row], reserved={key.id: 10**8}))
    told = await details()
    assert "$0.50 of $1.00 left" in told["budget"] and "3 requests" in told["rate"]
    unknown = await view.explain("key_0", question)
    assert unknown["allowed"] is False and unknown["verdicts"][0]["code"] == "invalid_api_key"
    await store.close()


PLUGINS = """
from gateway_proxy import Denied, OpenAIDialect, Stage

class No(Stage):
    def __init__(self, code):
        self.code = code
    def check(self, exchange):
        if exchange.is_trial:
            raise Denied("Not today.", code=self.code)

class Vendor(OpenAIDialect):
    pass
"""


async def test_plugins_are_asked_too(tmp_path: Path, install_plugin: InstallPlugin) -> None:
    install_plugin(PLUGINS, stages={"no": "No"}, dialects={"vendor": "Vendor"})
    stage = '[pipeline]\nstages = [{ use = "no", before = "rate" }]\n'
    path = tmp_path / "config.toml"
    path.write_text(stage + SETTINGS.replace('"openai"', '"vendor"') + '[plugins.no]\ncode = "not_today"\n')
    store = await open_store(f"sqlite:{tmp_path}/gateway.db", migrate=True, clock=FakeClock())
    keys = KeyService(store.keys, FakeClock(), b"pepper")
    key = (await keys.create({"name": "a"}, Caller("t"), organization="default")).key
    question = Question(model="m").to_json()
    told = await StoreView(store, load_config(path), FakeClock()).explain(key.id, question)
    assert {"rule": "no", "verdict": "deny", "code": "not_today", "detail": "Not today."} in told["verdicts"]
    path.write_text(path.read_text().replace("code =", "cdoe ="))
    with pytest.raises(Unavailable, match="refuses its settings"):
        await StoreView(store, load_config(path), FakeClock()).explain(key.id, question)
    await store.close()
