"""One listening gateway: what is outside the data plane, host names, reload, and its end."""

import asyncio
from pathlib import Path

from gateway_proxy.app.server import Server, reload
from tests.support.in_process import Served, serve
from tests.support.raw import RawAnswer, make_request, send


async def get(port: int, path: str, host: bytes = b"Host: a\r\n") -> RawAnswer:
    data = make_request(line=f"GET {path} HTTP/1.1".encode(), framing=b"", body=b"", host=host)
    return await asyncio.to_thread(send, port, data)


async def test_outside_the_data_plane(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        assert (await get(served.port, "/healthz")).body == b'{"status":"ok"}'
        assert (await get(served.port, "/readyz")).status == 200
        assert (await get(served.port, "/")).code == "route_not_found"
        assert (await get(served.port, "/healthz/..")).code == "invalid_target"


async def test_only_its_own_host_names(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        served.server._hosts = lambda host: host == "good"
        assert (await get(served.port, "/healthz", b"Host: evil\r\n")).code == "unknown_host"
        assert (await get(served.port, "/v1/models", b"Host: evil\r\n")).status == 421
        assert (await get(served.port, "/healthz", b"Host: good\r\n")).status == 200


async def test_a_bad_file_changes_nothing(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        path, before = tmp_path / "config.toml", served.gateway.revision
        good = path.read_text()
        path.write_text(good + "\n[nonsense]\n")
        await reload(served.gateway, path)
        assert served.gateway.revision == before and "nonsense" in served.gateway.reload_error
        path.write_text(good + "\n[logs]\nrequests = false\n")
        await reload(served.gateway, path)
        assert served.gateway.revision == before + 1 and not served.gateway.reload_error
        assert not served.gateway.books.log_requests


async def test_the_end_is_quick_and_final(tmp_path: Path) -> None:
    async with serve(tmp_path, "") as served:
        assert isinstance(served, Served) and isinstance(served.server, Server)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 3
    assert served.gateway.draining
