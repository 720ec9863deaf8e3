"""What a command writes, and what it is told, without a protocol."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.proxy.mcp import child as module
from gateway_proxy.proxy.mcp.child import Child, Command, start_child
from gateway_proxy.proxy.mcp.lines import TooLong


async def listen(command: Command) -> tuple[Child, "asyncio.Future[int | None]", list[bytes | TooLong]]:
    child = await start_child(command)
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    lines: list[bytes | TooLong] = []
    child.listen(lines.append, ended.set_result)
    return child, ended, lines


async def test_lines_go_in_and_out_in_its_own_folder(tmp_path: Path) -> None:
    command = Command("s", ("sh", "-c", "pwd; echo $TOKEN; read line; echo got $line; exit 4"),
                      {"TOKEN": Secret("t")}, tmp_path)  # fmt: skip
    child, ended, lines = await listen(command)
    child.write(b"hello")
    assert await asyncio.wait_for(ended, 5) == 4
    assert lines == [str(tmp_path).encode(), b"t", b"got hello"]
    await child.close()


@pytest.mark.slow
async def test_one_that_reads_nothing_is_told_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNSENT_BYTES", 1_000)
    monkeypatch.setattr(module, "FAREWELL_SECONDS", 0.01)
    child, _, _ = await listen(Command("s", ("sleep", "600")))
    with pytest.raises(UpstreamFailed) as caught:
        for _ in range(1_000):
            child.write(b"x" * 65_536)
    assert caught.value.code == "upstream_unavailable"
    await child.close()
    assert not Path(f"/proc/{child.pid}").exists()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):
        await start_child(Command("s", (sys.executable,), folder=tmp_path / "none"))
    assert len(os.listdir("/proc/self/fd")) == before
