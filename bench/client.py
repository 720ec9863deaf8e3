"""A plain streaming client for soaks: one connection for each exchange, raw bytes, and it can hang up in the middle.

Also what an operator would look at from outside: descriptors and threads of a process, and the gateway's own /readyz.
How many exchanges run, and what is judged by them, belongs to the figures.
"""

import asyncio
import contextlib
import dataclasses
import json
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_EVENT_MARK = b"data: "
_READ_BYTES = 65_536
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclasses.dataclass(slots=True)
class Answer:
    """What came back. `chunks` counts `data:` events; `left` says that we hung up; status 0: no head came."""

    status: int = 0
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    chunks: int = 0
    body: bytes = b""
    left: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether a streamed answer came to its regular end."""
        return b"data: [DONE]" in self.body


def make_request(url: str, secret: str, body: bytes) -> bytes:
    """The bytes of a POST to `url`/chat/completions that asks for the connection to be closed after it."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {secret}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


async def exchange(url: str, request: bytes, *, leave_after: int | None = None) -> Answer:
    """Send, and read to the end, or hang up once `leave_after` events have come. Raises OSError.

    `body` keeps only the last bytes: enough for an error, or for the end of a stream.
    """
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_READ_BYTES)
    answer = Answer()
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        answer.status, answer.headers = _parse_head(head)
        carry = b""
        while data := await reader.read(_READ_BYTES):
            seen = carry + data
            answer.chunks += seen.count(_EVENT_MARK)
            carry = seen[-len(_EVENT_MARK) + 1 :]
            answer.body = (answer.body + data)[-2000:]
            if leave_after is not None and answer.chunks >= leave_after:
                answer.left = True
                break
    except asyncio.IncompleteReadError:
        pass
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return answer


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


def read_json(url: str) -> dict[str, Any]:
    """A GET that no proxy of the environment sees. Raises URLError."""
    with _direct.open(url, timeout=30) as answer:
        return dict(json.load(answer))


def read_readiness(url: str) -> dict[str, Any]:
    """/readyz of the gateway whose data plane is at `url` (which ends with /v1)."""
    return read_json(url.removesuffix("/v1") + "/readyz")


def count_descriptors(pid: int) -> int:
    """Open files and sockets of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def count_threads(pid: int) -> int:
    """Threads of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def most_in_window(times: Iterable[float], seconds: float) -> int:
    """The largest number of `times` (in seconds, ascending) in any half-open window of this length."""
    most, window = 0, list(times)
    begin = 0
    for end, at in enumerate(window):
        while at - window[begin] >= seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most
