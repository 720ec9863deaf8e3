"""Plugins in a running gateway: their refusals, their faults, their rows, and a reload that brings or takes them."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway_proxy.app import sinks
from gateway_proxy.app.server import reload
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.routing.made_ids import MadeIds
from tests.support.fake_provider import FakeProvider
from tests.support.in_process import Served, serve
from tests.support.plugins import InstallPlugin
from tests.support.raw import RawAnswer, make_request, send

SOURCE = """
import asyncio
from gateway_proxy import AsyncStage, Denied, OpenAIDialect, Sink, Stage

ROWS, CLOSED = [], []

class Words(Stage):
    def __init__(self, words):
        self.words = words
    def check(self, exchange):
        text = str(exchange.body["messages"])
        exchange.extras["words"] = len(text)
        if any(word in text for word in self.words):
            raise Denied("This text may not leave.", code="words_refused", param="messages")
        if "break" in text:
            raise RuntimeError("inner words")

class Asks(AsyncStage):
    timeout_seconds = 0.05
    async def check(self, exchange):
        assert exchange.extras["words"] > 0
        await asyncio.sleep(30 if "slow" in str(exchange.body) else 0)
    async def close(self):
        CLOSED.append("asks")

class Waits(AsyncStage):
    async def check(self, exchange):
        await asyncio.sleep(0)

class Vendor(OpenAIDialect):
    def upstream_headers(self, api_key):
        return [("authorization", f"Bearer {api_key}"), ("x-vendor", "yes")]

class Lake(Sink):
    def write(self, rows):
        ROWS.extend([*rows.logs, *rows.ledger])
    def close(self):
        CLOSED.append("lake")
"""


def tables(provider: FakeProvider) -> str:
    return f"""
[pipeline]
stages = [{{ use = "words", before = "rate" }}, {{ use = "asks", before = "budget" }}]
[logs]
requests = false
sinks = [{{ use = "lake" }}]
[plugins.words]
words = ["secret project"]
[[providers]]
name = "fake"
dialect = "vendor"
base_url = "{provider.base_url}"
api_key = "file:provider.key"
[[models]]
name = "chat"
targets = [{{ provider = "fake", model = "chat" }}]
price = {{ input = 1, output = 1 }}
"""


async def say(served: Served, text: str) -> RawAnswer:
    body = b'{"model":"chat","max_tokens":9,"messages":[{"role":"user","content":"%b"}]}' % text.encode()
    return await asyncio.to_thread(send, served.port, make_request(served.secret, body=body))


async def test_plugins_at_work(
    tmp_path: Path,
    install_plugin: InstallPlugin,
    fake_provider: FakeProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks, "GATHER_SECONDS", 0.02)
    stages = {"words": "Words", "asks": "Asks"}
    install_plugin(SOURCE, stages=stages, dialects={"vendor": "Vendor"}, sinks={"lake": "Lake"})
    async with serve(tmp_path, tables(fake_provider), budget_usd="1") as served:
        await check_refusals(served, fake_provider)
        await check_reloads(served, tmp_path / "config.toml")
    import acme_plugin as plugin  # type: ignore[import-not-found]

    assert sorted(plugin.CLOSED) == ["asks", "lake"]
    told = [row.error_code for row in plugin.ROWS if isinstance(row, LogRow)]
    assert told == ["", "words_refused", "stage_failed", "stage_timeout", "words_refused", ""]
    outcomes = [row.outcome for row in plugin.ROWS if isinstance(row, LedgerRow)]
    assert outcomes == ["completed", "completed"]


async def check_refusals(served: Served, fake_provider: FakeProvider) -> None:
    texts = ("hello", "my secret project", "break it", "slow down")
    answers = {text: await say(served, text) for text in texts}
    told = {text: (answer.status, answer.code) for text, answer in answers.items()}
    assert told == {
        "hello": (200, ""),
        "my secret project": (403, "words_refused"),
        "break it": (500, "stage_failed"),
        "slow down": (503, "stage_timeout"),
    }
    assert b"inner words" not in answers["break it"].body
    assert json.loads(answers["my secret project"].body)["error"]["param"] == "messages"
    assert len(fake_provider.settled_ledger()) == 1  # what was refused never left
    key = served.gateway.directory.find(served.gateway._digester.digest(served.secret), 0)
    assert key is not None
    state = served.gateway.limiter.budget_state(key.key)
    assert state is not None and state.reserved_nanos == 0


async def check_reloads(served: Served, path: Path) -> None:
    path.write_text(path.read_text().replace('words = ["secret project"]', 'wrods = ["x"]'))
    await reload(served.gateway, path)
    assert ": plugins.words: the plugin refuses its settings" in served.gateway.reload_error
    assert (await say(served, "my secret project")).code == "words_refused"  # nothing changed
    text = path.read_text().replace('[plugins.words]\nwrods = ["x"]\n', "")
    path.write_text(
        text.replace('stages = [{ use = "words", before = "rate" }, { use = "asks", before = "budget" }]', "")
    )
    await reload(served.gateway, path)
    assert not served.gateway.reload_error
    assert (await say(served, "my secret project")).status == 200


async def test_a_stage_that_waits_before_and_after_an_id_was_looked_up(
    tmp_path: Path, install_plugin: InstallPlugin, fake_provider: FakeProvider
) -> None:
    install_plugin(SOURCE, stages={"waits": "Waits"})
    settings = f"""
[pipeline]
stages = [{{ use = "waits", before = "budget" }}]
[[providers]]
name = "fake"
dialect = "openai"
base_url = "{fake_provider.base_url}"
api_key = "file:provider.key"
[[models]]
name = "chat"
targets = [{{ provider = "fake", model = "chat" }}]
"""
    async with serve(tmp_path, settings) as served:
        first = await respond(served, {})
        assert first.status == 200
        await served.gateway.made_ids.flush()
        served.gateway.made_ids.memory = MadeIds()
        again = await respond(served, {"previous_response_id": json.loads(first.body)["id"]})
        assert (again.status, again.code) == (200, "")


async def respond(served: Served, extra: dict[str, str]) -> RawAnswer:
    body = json.dumps({"model": "chat", "input": "hello", "max_output_tokens": 9, **extra}).encode()
    line = b"POST /v1/responses HTTP/1.1"
    return await asyncio.to_thread(send, served.port, make_request(served.secret, line=line, body=body))
