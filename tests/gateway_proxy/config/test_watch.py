"""Changes are seen however the file is changed, on real files."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway_proxy.config.watch import LOOK_SECONDS, wait_until_quiet, watch_file

SOON = 3.0


class Watched:
    """Counts the calls, and waits for the next one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: list[str] = []
        self._changed = asyncio.Event()

    async def note(self) -> None:
        self.texts.append(self.path.read_text())
        self._changed.set()

    async def after(self, act: Callable[[], object]) -> str:
        self._changed.clear()
        act()
        await asyncio.wait_for(self._changed.wait(), SOON)
        return self.texts[-1]


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Watched]:
    watched = Watched(path)
    task = asyncio.create_task(watch_file(path, watched.note))
    try:
        # The watch stands once a first change is seen; until then edits may fall before it.
        await asyncio.sleep(0)
        assert await watched.after(lambda: path.write_text("first")) == "first"
        yield watched
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, SOON)


async def test_an_edit_in_place_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    async with watching(path) as watched:
        assert await watched.after(lambda: path.write_text("edited")) == "edited"


async def test_an_atomic_rename_is_seen(tmp_path: Path) -> None:
    path, fresh = tmp_path / "config.toml", tmp_path / "config.toml.new"
    async with watching(path) as watched:
        fresh.write_text("renamed")
        assert await watched.after(lambda: fresh.replace(path)) == "renamed"


async def test_a_kubernetes_swap_is_seen_each_time(tmp_path: Path) -> None:
    path, data = tmp_path / "config.toml", tmp_path / "..data"
    (tmp_path / "..0").mkdir()
    data.symlink_to("..0")
    path.symlink_to("..data/config.toml")

    def swap(number: int) -> None:
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "config.toml").write_text(f"version {number}")
        (tmp_path / "..data_tmp").symlink_to(f"..{number}")
        os.replace(tmp_path / "..data_tmp", data)

    async with watching(path) as watched:
        for number in (1, 2):
            assert await watched.after(lambda number=number: swap(number)) == f"version {number}"  # type: ignore[misc]


async def test_an_edit_behind_a_link_to_another_folder_is_seen(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, path = tmp_path / "elsewhere" / "real.toml", tmp_path / "config.toml"
    path.symlink_to(target)
    async with watching(path) as watched:
        assert await watched.after(lambda: target.write_text("behind the link")) == "behind the link"


async def test_a_file_that_vanishes_is_reported_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    async with watching(path) as watched:
        calls = len(watched.texts)
        path.unlink()
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert len(watched.texts) == calls
        assert await watched.after(lambda: path.write_text("back")) == "back"


async def test_other_files_of_the_folder_are_no_news(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    async with watching(path) as watched:
        calls = len(watched.texts)
        (tmp_path / "other").write_text("x")
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert len(watched.texts) == calls


async def test_a_failing_callback_ends_the_watch(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"

    async def fail() -> None:
        raise RuntimeError("reload is broken")

    async def edit() -> None:
        for number in range(100):
            path.write_text(str(number))
            await asyncio.sleep(0.1)

    editing = asyncio.create_task(edit())
    with pytest.raises(RuntimeError, match="reload is broken"):
        await asyncio.wait_for(watch_file(path, fail), SOON)
    editing.cancel()


async def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    waiting = asyncio.create_task(wait_until_quiet(path))
    for number in range(10):
        path.write_text("line\n" * number)
        await asyncio.sleep(0.01)
        assert not waiting.done()
    path.write_text("whole")
    await asyncio.wait_for(waiting, SOON)
    path.unlink()
    await asyncio.wait_for(wait_until_quiet(path), SOON)
