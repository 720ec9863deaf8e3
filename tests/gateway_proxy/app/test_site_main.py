"""The admin process from the inside: newest settings on every connection, and its end with the gateway's."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway_proxy.app.handing import hand_over
from gateway_proxy.app.site_line import ParentLine, SiteSettings
from gateway_proxy.app.site_main import Site, _run, _take_handed
from gateway_proxy.config import config_from_dict
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage import open_store


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    store = await open_store(f"sqlite:{tmp_path / 'gateway.db'}", migrate=True)
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    site = Site(store, ParentLine(reader, writer), Clock())
    yield site
    await site.close()
    writer.close()
    await writer.wait_closed()
    theirs.close()
    await store.close()


def settings(folder: Path, *, dashboard: bool) -> SiteSettings:
    return SiteSettings(config_from_dict({"dashboard": {"enabled": dashboard}}, folder), b"a pepper of tests")


async def ask(connection: socket.socket) -> bytes:
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    writer.write(
        b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Gateway-Client-Ip: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_new_settings_hold_for_new_connections(site: Site, tmp_path: Path) -> None:
    await site.put(settings(tmp_path, dashboard=False))
    before = site._runner
    await site.put(settings(tmp_path, dashboard=True))
    assert site._runner is not before
    ours, theirs = socket.socketpair()
    await site.take(theirs)
    assert (await ask(ours)).startswith(b"HTTP/1.1 404")


async def test_connections_come_through_the_door(site: Site, tmp_path: Path) -> None:
    await site.put(settings(tmp_path, dashboard=False))
    door, gateways_end = socket.socketpair()
    door.setblocking(False)
    assert _take_handed(door, site)  # nothing there, and still open
    ours, theirs = socket.socketpair()
    hand_over(gateways_end, theirs)
    theirs.close()
    assert _take_handed(door, site)
    assert (await ask(ours)).startswith(b"HTTP/1.1 404")
    gateways_end.close()
    assert not _take_handed(door, site)
    door.close()


async def test_a_gateway_that_left_before_we_began_ends_us(tmp_path: Path) -> None:
    door, gateways_door = socket.socketpair()
    line, gateways_line = socket.socketpair()
    gateways_door.close()
    gateways_line.close()
    with pytest.raises(ConnectionError):
        await _run(door, line)
    door.close()
