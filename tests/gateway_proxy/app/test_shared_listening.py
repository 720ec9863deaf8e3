"""Two processes on one listening socket, here two runners: each takes one connection at a time, and one may leave."""

import asyncio
import errno
import os
import socket
from typing import Any

import pytest
from aiohttp import web

from gateway_proxy.app import shared_listening
from gateway_proxy.app.shared_listening import SharedSite


async def make_runner(name: str) -> web.BaseRunner:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=name)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    return runner


async def ask(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.rpartition(b"\r\n\r\n")[2].decode()


async def test_the_others_go_on_when_one_leaves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        runners, sites = [], []
        for name in ("one", "other"):
            shared = socket.socket(fileno=os.dup(listening.fileno()))
            shared.setblocking(False)
            runner = await make_runner(name)
            site = SharedSite(runner, shared, None)
            assert site.name == f"127.0.0.1:{port}"
            await site.start()
            runners.append(runner)
            sites.append(site)
        assert set(await asyncio.gather(*(ask(port) for _ in range(8)))) <= {"one", "other"}
        await sites[0].stop()
        assert {await ask(port) for _ in range(4)} == {"other"}
        for runner in runners:
            await runner.cleanup()


async def test_without_descriptors_it_pauses_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_listening, "RETRY_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        shared = Failing(fileno=os.dup(listening.fileno()))
        shared.setblocking(False)
        runner = await make_runner("one")
        await SharedSite(runner, shared, None).start()
        assert await ask(listening.getsockname()[1]) == "one"
        assert shared.tries == 2
        await runner.cleanup()


class Failing(socket.socket):
    """Has no descriptor for the first connection."""

    tries = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.tries += 1
        if self.tries == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()
