"""Attempts: the next target where another may mend it, and one row for each."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway_proxy.proxy.upstream.connection import Connection
from tests.support.client import Answer, Client, chat_body
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import provider_toml
from tests.support.in_process import serve

MODEL = '[[models]]\nname = "chat"\nretries = %d\ntargets = [%s]\nprice = { input = 1, output = 2 }\n'


def tables(*providers: FakeProvider | str, retries: int = 0) -> str:
    names = [f"p{number}" for number in range(len(providers))]
    listed = ", ".join(f'{{ provider = "{name}", model = "m" }}' for name in names)
    urls = [provider if isinstance(provider, str) else provider.base_url for provider in providers]
    made = [provider_toml(url, name=name) for name, url in zip(names, urls, strict=True)]
    return "".join(made) + MODEL % (retries, listed)


async def ask(
    folder: Path, toml: str, directive: str = "", *, stream: bool = False, **key: object
) -> tuple[Answer, int]:
    """(answer, attempts in the ledger)."""
    async with serve(folder, toml, **key) as served:
        async with Client(f"http://127.0.0.1:{served.port}", served.secret) as client:
            answer = await client.send(chat_body(directive, stream=stream))
        await served.gateway.writer.flush()
        found = await served.gateway.store.db.fetch("SELECT attempt FROM ledger")
        return answer, len(found)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
async def test_another_target_mends_it(
    tmp_path: Path, start_fake_provider: Callable[..., FakeProvider], stream: bool
) -> None:
    bad, good = start_fake_provider(), start_fake_provider()
    bad.set_mode("status", status=503)
    answer, attempts = await ask(tmp_path, tables("http://127.0.0.1:9/v1", bad, good), stream=stream)
    assert (answer.status, answer.headers["x-gateway-provider"], attempts) == (200, "p2", 3)


@pytest.mark.slow
async def test_what_another_target_cannot_mend_is_passed(
    tmp_path: Path, start_fake_provider: Callable[..., FakeProvider]
) -> None:
    bad, good = start_fake_provider(), start_fake_provider()
    bad.set_mode("status", status=422)
    answer, attempts = await ask(tmp_path, tables(bad, good))
    assert (answer.status, answer.headers["x-gateway-error-source"], attempts) == (422, "upstream", 1)
    assert good.stats()["requests"] == 0


@pytest.mark.slow
async def test_fallback_on_chosen_failures(
    tmp_path: Path, start_fake_provider: Callable[..., FakeProvider]
) -> None:
    bad, good = start_fake_provider(), start_fake_provider()
    for number, (chosen, status, attempts) in enumerate(
        (("404", 404, 2), ("404", 503, 1), ("401", 401, 2), ('"5xx"', 501, 2), ("", 503, 1))
    ):
        bad.set_mode("status", status=status)
        folder = tmp_path / str(number)
        folder.mkdir()
        toml = tables(bad, good).replace("retries =", f"fallback_on = [{chosen}]\nretries =")
        answer, made = await ask(folder, toml)
        assert (answer.status, made) == (200 if attempts == 2 else status, attempts)
    folder = tmp_path / "unreachable"
    folder.mkdir()
    toml = tables("http://127.0.0.1:9/v1", good).replace("retries =", "fallback_on = [503]\nretries =")
    answer, made = await ask(folder, toml)
    assert (answer.status, answer.code, made) == (503, "upstream_unavailable", 1)


async def test_a_refused_credential_is_never_passed_on(tmp_path: Path, fake_provider: FakeProvider) -> None:
    fake_provider.set_mode("status", status=401)
    toml = tables(fake_provider, "http://127.0.0.1:9/v1").replace(
        "retries =", "fallback_on = [401]\nretries ="
    )
    answer, made = await ask(tmp_path, toml)
    assert (answer.status, answer.code, made) == (503, "upstream_unavailable", 2)


@pytest.mark.slow
async def test_a_full_target_is_passed_over(tmp_path: Path, fake_provider: FakeProvider) -> None:
    toml = tables(fake_provider, fake_provider)
    toml = toml.replace('"p0", model = "m" }', '"p0", model = "m", max_parallel = 1 }')
    toml = toml.replace('name = "p1"', 'name = "p1"\nmax_parallel = 1')
    async with serve(tmp_path, toml) as served:
        running = served.gateway.services.running
        async with Client(f"http://127.0.0.1:{served.port}", served.secret) as client:
            body = chat_body("mode=silent phase=body seconds=30", stream=True)
            held = [asyncio.get_running_loop().create_task(client.send(body)) for _ in range(2)]
            async with asyncio.timeout(5):
                while len(running) < 4:
                    await asyncio.sleep(0.005)
            assert running == {"p0": 1, ("p0", "m"): 1, "p1": 1, ("p1", "m"): 1}
            answer = await client.send(chat_body(""))
            assert (answer.status, answer.code) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            async with asyncio.timeout(5):
                while running:
                    await asyncio.sleep(0.005)
            answers = [await client.send(chat_body("")) for _ in range(2)]
            assert [(a.status, a.headers["x-gateway-provider"]) for a in answers] == [(200, "p0")] * 2


@pytest.mark.slow
async def test_the_last_failure_stands(tmp_path: Path, fake_provider: FakeProvider) -> None:
    fake_provider.set_mode("status", status=500)
    answer, attempts = await ask(tmp_path, tables("http://127.0.0.1:9/v1", fake_provider))
    assert (answer.status, attempts) == (500, 2)
    (tmp_path / "second").mkdir()
    answer, attempts = await ask(tmp_path / "second", tables("http://127.0.0.1:9/v1"))
    assert (answer.status, answer.code, attempts) == (503, "upstream_unavailable", 1)
    assert b"127.0.0.1" not in answer.body


async def test_a_client_that_leaves_while_we_connect_owes_nothing(tmp_path: Path) -> None:
    """Nothing has left for the provider before a connection stands."""
    connecting = asyncio.Event()

    async def hang() -> Connection:
        connecting.set()
        await asyncio.sleep(60)
        raise AssertionError("the client had left")

    async with serve(tmp_path, tables("http://127.0.0.1:9/v1")) as served:
        link = served.gateway.runtime.links["p0"]
        link.pool.connect = hang  # type: ignore[method-assign]
        async with Client(f"http://127.0.0.1:{served.port}", served.secret) as client:
            asking = asyncio.get_running_loop().create_task(client.send(chat_body("")))
            await connecting.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        while served.gateway.plane.sweeper.runs:
            await asyncio.sleep(0.01)
        await served.gateway.writer.flush()
        rows = await served.gateway.store.db.fetch("SELECT usage_source, charged_nanos FROM ledger")
        assert [tuple(row) for row in rows] == [("none", 0)]
