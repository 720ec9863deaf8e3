"""The private line carries settings with their secrets, questions and answers, and tells when the gateway is gone."""

import asyncio
import contextlib
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway_proxy.app import site_line
from gateway_proxy.app.site_line import (
    LineBroken,
    ParentLine,
    SiteSettings,
    pack_answer,
    pack_settings,
    read_frame,
    write_frame,
)
from gateway_proxy.config import config_from_dict

PROVIDER = {"name": "openai", "api_key": "env:KEY"}


def make_settings(folder: Path) -> SiteSettings:
    config = config_from_dict({"providers": [PROVIDER]}, folder, {"KEY": "sk-canary"})
    return SiteSettings(config, b"pepper")


async def make_line() -> tuple[ParentLine, asyncio.StreamReader, asyncio.StreamWriter]:
    """The child's end, and the gateway's as streams."""
    ours, theirs = socket.socketpair()
    line = ParentLine(*await asyncio.open_unix_connection(sock=theirs))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    return line, reader, writer


async def close(line: ParentLine, writer: asyncio.StreamWriter) -> None:
    for end in (line._writer, writer):
        end.close()
        with contextlib.suppress(ConnectionError):
            await end.wait_closed()


async def test_settings_arrive_whole(tmp_path: Path) -> None:
    line, _, writer = await make_line()
    settings = make_settings(tmp_path)
    write_frame(writer, pack_settings(settings))
    got = await line.next_settings()
    assert got == settings and got.config.digest == settings.config.digest
    key = got.config.providers[0].api_key
    assert key is not None and key.reveal() == "sk-canary"
    await close(line, writer)


def test_secrets_are_pickled_for_the_line_only(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(make_settings(tmp_path))


async def test_questions_are_answered_in_any_order(tmp_path: Path) -> None:
    line, reader, writer = await make_line()
    following = asyncio.create_task(line.next_settings())
    asked = [asyncio.create_task(line.ask("counters", name)) for name in ("a", "b", "c")]
    questions = [await read_frame(reader) for _ in asked]
    assert questions[0] == b'{"id":1,"ask":"counters","with":["a"]}'
    write_frame(writer, pack_answer(2, {"of": "b"}))
    write_frame(writer, pack_answer(3, None, "KeyError"))
    write_frame(writer, pack_answer(99, "nobody asked"))
    write_frame(writer, pack_answer(1, {"of": "a"}))
    got: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    assert got[:2] == [{"of": "a"}, {"of": "b"}]
    assert isinstance(got[2], ConnectionError) and "KeyError" in str(got[2])
    write_frame(writer, pack_settings(make_settings(tmp_path)))
    assert (await following).pepper == b"pepper"
    await close(line, writer)


async def test_silence_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_line, "ANSWER_SECONDS", 0.02)
    line, _, writer = await make_line()
    with pytest.raises(ConnectionError, match="in time"):
        await line.ask("health")
    await close(line, writer)


async def test_the_end_of_the_gateway_reaches_whoever_waits() -> None:
    line, _, writer = await make_line()
    asked = asyncio.create_task(line.ask("health"))
    await asyncio.sleep(0)
    writer.close()
    with pytest.raises(LineBroken):
        await line.next_settings()
    with pytest.raises(ConnectionError):
        await asked
    await close(line, writer)


async def test_a_frame_too_long_is_refused() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\xff\xff\xff\xff")
    with pytest.raises(LineBroken, match="too long"):
        await read_frame(reader)
