"""The supervisor with workers that do nothing but tell who they are: started again, restarted in turn, ended."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import orjson
import pytest

from gateway_proxy.app import supervisor as module
from gateway_proxy.app.binding import listen
from gateway_proxy.app.supervisor import Supervisor, WorkersFailed, make_command

pytestmark = pytest.mark.slow
_WORKER = """
import asyncio, os, socket, sys
import orjson
from gateway_proxy.app.part import Part, find_place
from gateway_proxy.app.part_metrics import merge

async def main():
    place, part, stop, loop = find_place(), Part(), asyncio.Event(), asyncio.get_running_loop()
    if sys.argv[1:] == ["fail"] and place.number == 0: sys.exit(3)
    listening = socket.socket(fileno=place.sockets["listen"][0])
    listening.setblocking(False)
    stops = iter([None] if sys.argv[1:] == ["stubborn"] else [])
    part.on_stop = lambda: next(stops, 0) is None or stop.set()
    part.on_samples = lambda: {"gateway_proxy_refusals_total": {("x",): 1}, "gateway_proxy_keys": {(): 5}}
    await part.join(place)
    part.tell_state(10 + place.number, [])
    part.tell_ready()

    async def answer(connection):
        merged = merge(await part.gather_samples())
        await loop.sock_sendall(connection, orjson.dumps({
            "number": place.number, "pid": os.getpid(), "serving": part.describe()["serving"], "floor": part.floor(99),
            "refusals": merged["gateway_proxy_refusals_total"]["x",], "keys": merged["gateway_proxy_keys"][()],
        }))
        connection.close()

    def accept():
        try: connection, _ = listening.accept()
        except BlockingIOError: return
        connection.setblocking(False)
        answering.add(asyncio.create_task(answer(connection)))

    answering = set()
    loop.add_reader(listening, accept)
    await stop.wait()
    loop.remove_reader(listening)
    await asyncio.gather(*answering)

asyncio.run(main())
"""


class Scene:
    def __init__(self, *arguments: str) -> None:
        self.sockets = {"listen": listen("127.0.0.1", 0), "admin": []}
        self.port = self.sockets["listen"][0].getsockname()[1]
        command = [sys.executable, "-c", _WORKER, *arguments]
        self.check = [sys.executable, "-c", "pass"]
        self.supervisor = Supervisor(command, 2, self.sockets, 5, self.check)
        self.serves = asyncio.Event()
        self.running = asyncio.create_task(self.supervisor.run(self.serves.set))

    async def ask(self) -> dict[str, int]:
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                return dict(orjson.loads(await reader.read()))
            finally:
                writer.close()

    async def ask_until(self, name: str, value: int) -> dict[str, int]:
        async with asyncio.timeout(30):
            while (answer := await self.ask())[name] != value:
                await asyncio.sleep(0.02)
        return answer

    @property
    def pids(self) -> list[int]:
        return [worker.process.pid for worker in self.supervisor._workers if worker.process is not None]


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    scene = Scene()
    async with asyncio.timeout(30):
        await scene.serves.wait()
    yield scene
    if not scene.running.done():
        os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(30):
        await scene.running
    for one in scene.sockets["listen"]:
        one.close()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_the_life_of_two_workers(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    # All of them are one: what one has not followed yet is not acknowledged, and metrics are of both.
    whole = await scene.ask_until("serving", 2)
    assert (whole["refusals"], whole["keys"]) == (2, 5)
    assert whole["floor"] == (11 if whole["number"] == 0 else 10)

    # One dies: somebody answers all the time, and what it had counted is not lost.
    first, second = scene.pids
    os.kill(second, signal.SIGKILL)
    assert (await scene.ask())["pid"] in (first, second)
    await scene.ask_until("serving", 2)
    again = await scene.ask_until("refusals", 3)
    assert again["keys"] == 5
    assert first in scene.pids and second not in scene.pids

    # On settings that have gone bad nobody is ended.
    before = set(scene.pids)
    scene.check[-1] = "raise SystemExit('line 3: mistake')"
    os.kill(os.getpid(), signal.SIGUSR2)
    async with asyncio.timeout(30):
        while "none could start: line 3: mistake" not in caplog.text:
            await asyncio.sleep(0.02)
    assert set(scene.pids) == before

    # One after the other is restarted, and nobody is refused.
    scene.check[-1] = "pass"
    os.kill(os.getpid(), signal.SIGUSR2)
    async with asyncio.timeout(30):
        while before & set(scene.pids) or len(scene.pids) < 2:
            await scene.ask()
            await asyncio.sleep(0.01)
    await scene.ask_until("serving", 2)

    # The end of all.
    pids = scene.pids
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(30):
        await scene.running
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_first_worker_that_cannot_start_ends_the_start() -> None:
    scene = Scene("fail")
    with pytest.raises(WorkersFailed, match="worker 0 could not start"):
        async with asyncio.timeout(30):
            await scene.running
    assert not scene.serves.is_set()
    for one in scene.sockets["listen"]:
        one.close()


async def test_a_second_signal_ends_those_that_take_their_time() -> None:
    scene = Scene("stubborn")
    async with asyncio.timeout(30):
        await scene.serves.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0.1)
    assert not scene.running.done()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(WorkersFailed, match="second signal"):
        async with asyncio.timeout(30):
            await scene.running
    for one in scene.sockets["listen"]:
        one.close()


def test_commands_name_the_settings(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert make_command(tmp_path)[-2:] == ["-c", str(tmp_path)]
    assert make_command(None)[-1] == "serve"
    assert make_command(tmp_path, "check")[-3:] == ["check", "-c", str(tmp_path)]
