"""The private line between the gateway and its admin process: settings one way, questions and answers the other.

A frame is a length and a body. The gateway's frames may hold secrets, so the line is an inherited socket pair: nothing
of it is ever on a command line, in the environment or on disk. The gateway reads JSON only; what the admin process
reads it reads from its own parent. Which questions there are is `inside`'s.
"""

import asyncio
import io
import pickle
import struct
from typing import Any, NamedTuple

import orjson

from gateway_proxy.config import Config, Secret

ANSWER_SECONDS = 2.0
MAX_FRAME_BYTES = 64 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class SiteSettings(NamedTuple):
    """What the admin process is built from: the settings in force and the pepper."""

    config: Config
    pepper: bytes


class LineBroken(ConnectionError):
    """The other side is gone, or speaks something else."""


def write_frame(writer: asyncio.StreamWriter, body: bytes) -> None:
    """Hand one frame to the socket; never waits."""
    writer.write(_LENGTH.pack(len(body)) + body)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next frame. Raises LineBroken."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length <= MAX_FRAME_BYTES:
            return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise LineBroken("the line has ended") from error
    raise LineBroken("a frame is too long")


class _SettingsPickler(pickle.Pickler):
    """The one place where a Secret may be serialised: what it writes goes to our own child, over the private line."""

    def reducer_override(self, value: object) -> Any:
        return (Secret, (value.reveal(),)) if isinstance(value, Secret) else NotImplemented


def pack_settings(settings: SiteSettings) -> bytes:
    """A frame's body that `read_from_parent` understands."""
    out = io.BytesIO()
    _SettingsPickler(out, pickle.HIGHEST_PROTOCOL).dump(settings)
    return b"S" + out.getvalue()


def pack_answer(number: int, value: Any, error: str = "") -> bytes:
    """A frame's body: the answer to the question of that number, or why there is none."""
    return b"A" + orjson.dumps([number, value, error])


class ParentLine:
    """The admin process's end. Raises ConnectionError wherever the gateway does not answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._number = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def next_settings(self) -> SiteSettings:
        """The next settings that the gateway sends; answers that come before them go to whoever asked.

        Raises LineBroken when the gateway is gone.
        """
        while True:
            try:
                body = await read_frame(self._reader)
            except LineBroken:
                self._give_up()
                raise
            if body[:1] == b"S":
                settings = pickle.loads(body[1:])  # noqa: S301 - from our own parent, over the inherited socket
                assert isinstance(settings, SiteSettings)
                return settings
            self._take_answer(body[1:])

    def tell_ready(self) -> None:
        """The site serves; connections may come."""
        write_frame(self._writer, orjson.dumps({"ready": True}))

    async def ask(self, question: str, *arguments: Any) -> Any:
        """The gateway's answer. Raises ConnectionError when there is none within 2 seconds."""
        self._number += 1
        number = self._number
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            write_frame(self._writer, orjson.dumps({"id": number, "ask": question, "with": arguments}))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except TimeoutError:
            raise ConnectionError("the gateway did not answer in time") from None
        finally:
            del self._waiting[number]

    def _take_answer(self, body: bytes) -> None:
        number, value, error = orjson.loads(body)
        future = self._waiting.get(number)
        if future is None or future.done():
            return
        if error:
            future.set_exception(ConnectionError(error))
        else:
            future.set_result(value)

    def _give_up(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LineBroken("the gateway is gone"))
