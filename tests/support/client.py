"""A client that takes whatever comes: answers, refusals and broken bodies alike."""

import asyncio
import dataclasses
import json
import re
from collections.abc import Awaitable, Sequence
from typing import Any

import aiohttp

__all__ = ["Answer", "Client", "chat_body", "leave_after"]

CHAT = "/v1/chat/completions"


@dataclasses.dataclass(slots=True)
class Answer:
    """What a client got: `error` names what broke the body, "" if it was whole."""

    status: int
    headers: dict[str, str]
    body: bytes
    error: str = ""

    @property
    def request_id(self) -> str:
        """The gateway's id of the request."""
        return self.headers.get("x-request-id", "")

    def json(self) -> Any:
        """The parsed body. Raises ValueError."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, "" for other answers."""
        try:
            return str(self.json()["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""

    @property
    def finished(self) -> bool:
        """Whether a stream ended with [DONE]."""
        return b"data: [DONE]" in self.body


def chat_body(
    directive: str = "", *, model: str = "chat", stream: bool = False, **members: Any
) -> dict[str, Any]:
    """A chat completion whose prompt orders the fake provider's behaviour, as in `mode=cut bytes=3`."""
    content = f"[[fake: {directive}]]" if directive else "hello"
    return {"model": model, "messages": [{"role": "user", "content": content}], "stream": stream, **members}


class Client:
    """Sends requests with one key to one gateway; an async context manager. At most `connections` at once."""

    def __init__(
        self, origin: str, secret: str, *, connections: int = 16, headers: dict[str, str] | None = None
    ) -> None:
        self._origin = origin
        self._headers = {"authorization": f"Bearer {secret}", **(headers or {})}
        self._connections = connections

    async def __aenter__(self) -> "Client":
        connector = aiohttp.TCPConnector(limit=self._connections)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, body: Any, path: str = CHAT, *, timeout_seconds: float = 30.0) -> Answer:
        """One request, whatever becomes of it; status 0 when there was no answer at all."""
        answer = Answer(0, {}, b"")
        parts: list[bytes] = []
        try:
            timeout = aiohttp.ClientTimeout(total=timeout_seconds)
            async with self._session.post(
                self._origin + path, json=body, headers=self._headers, timeout=timeout, allow_redirects=False
            ) as response:
                answer.status = response.status
                answer.headers = {name.lower(): value for name, value in response.headers.items()}
                async for part in response.content.iter_any():
                    parts.append(part)
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            answer.error = type(error).__name__
        answer.body = b"".join(parts)
        return answer

    async def send_all(self, bodies: Sequence[Any], path: str = CHAT) -> list[Answer]:
        """All of them, as concurrently as the connections allow."""
        return await asyncio.gather(*(self.send(body, path) for body in bodies))


async def leave_after(
    port: int,
    secret: str,
    body: Any,
    read_bytes: int,
    *,
    path: str = CHAT,
    then: Awaitable[object] | None = None,
) -> tuple[str, float]:
    """Read `read_bytes` of the answer, head included, or all of a shorter one, then close the socket.

    Returns the request id ("" if the head had not come) and the loop time of the close. With 0 bytes it leaves as soon as
    the request is sent; `then` is awaited before it leaves.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {secret}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode() + data)
    await writer.drain()
    seen = b""
    while len(seen) < read_bytes:
        part = await reader.read(read_bytes - len(seen))
        if not part:
            break
        seen += part
    if then is not None:
        await then
    writer.close()
    left_at = asyncio.get_running_loop().time()
    found = re.search(rb"(?i)\r\nx-request-id: (\S+)", seen)
    return ("" if found is None else found.group(1).decode()), left_at
