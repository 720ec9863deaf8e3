"""The admin process: started once, started again, told of new settings, ended; connections only while it serves."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bench.client import count_descriptors
from gateway_proxy.app import site_process
from gateway_proxy.app.site_line import SiteSettings
from gateway_proxy.app.site_process import SiteDown, SiteProcess
from gateway_proxy.config import Config, config_from_dict
from gateway_proxy.storage import open_store


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    config = config_from_dict({}, tmp_path)
    store = await open_store(config.storage.url.reveal(), migrate=True)
    await store.close()
    return config


def make_site(config: Config, asked: list[Any] | None = None) -> SiteProcess:
    def answer(question: str, *arguments: Any) -> Any:
        assert asked is not None
        asked.append((question, arguments))
        return {"revision": 1}

    return SiteProcess(lambda: SiteSettings(config, b"a pepper of tests"), answer)


async def get(site: SiteProcess, path: str) -> int:
    """The status of a GET over a connection of its own."""
    reader, writer = await asyncio.open_unix_connection(sock=await site.connect())
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Gateway-Client-Ip: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ", 2)[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
async def test_its_life(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    descriptors = count_descriptors(os.getpid())
    site = make_site(config)
    assert site.pid is None and site.serves is None
    assert await get(site, "/nowhere") == 404  # the first request starts it, and waits
    assert site.serves is True
    first = site.pid
    assert first is not None
    assert await asyncio.gather(*(get(site, "/nowhere") for _ in range(5))) == [404] * 5
    assert site.pid == first

    os.kill(first, signal.SIGKILL)
    while site.pid == first:
        await asyncio.sleep(0.01)
    begun = time.monotonic()
    assert await get(site, "/nowhere") == 404
    assert time.monotonic() - begun < 5
    assert site.pid not in (None, first) and "has ended (-9)" in caplog.text

    second = site.pid
    assert second is not None
    await site.stop()
    assert not is_alive(second) and site.pid is None and site.serves is False
    with pytest.raises(SiteDown):
        await site.connect()
    assert count_descriptors(os.getpid()) <= descriptors + 2  # the loop's own child watcher may stay


@pytest.mark.slow
async def test_one_that_cannot_start_is_down_at_once(tmp_path: Path) -> None:
    config = config_from_dict({"storage": {"url": "sqlite:missing.db"}}, tmp_path)
    site = make_site(config)
    site.begin()
    with pytest.raises(SiteDown):
        async with asyncio.timeout(10):
            await site.connect()
            while True:  # it may still have been starting
                await asyncio.sleep(0.01)
                await site.connect()
    await site.stop()


async def test_it_is_not_started_after_the_end(config: Config) -> None:
    site = make_site(config)
    await site.stop()
    site.begin()
    assert site._keeper is None


@pytest.mark.slow
async def test_a_start_that_hangs_is_given_up(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_process, "START_SECONDS", 0.01)
    site = make_site(config)
    with pytest.raises(SiteDown, match="does not start"):
        await site.connect()
    await site.stop()
