"""A client's request, as the data plane sees it, whoever read it from the socket.

`ClientRequest` is satisfied by aiohttp's `BaseRequest` (mounted applications, and whatever the strict edge serves)
and by `FrontRequest`, which our own front builds. Reading sockets and answering are done elsewhere.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp.http import HttpVersion, HttpVersion11
from multidict import CIMultiDictProxy

if TYPE_CHECKING:
    from gateway_proxy.proxy.head_facts import HeadFacts
    from gateway_proxy.proxy.plain_head import PlainHead

BUFFER_BYTES = 65_536


class Body(Protocol):
    """A request's body. `is_eof`: nothing more will come from the socket."""

    def is_eof(self) -> bool: ...
    def read_nowait(self) -> bytes: ...
    async def readany(self) -> bytes: ...


class Connection(Protocol):
    """The client's connection, as an answer needs it."""

    transport: asyncio.Transport | None

    @property
    def writing_paused(self) -> bool: ...

    async def _drain_helper(self) -> None: ...


class ClientRequest(Protocol):
    """`raw_path` is the target as sent, query included; `remote` the peer's address."""

    @property
    def method(self) -> str: ...
    @property
    def raw_path(self) -> str: ...
    @property
    def version(self) -> HttpVersion: ...
    @property
    def headers(self) -> "CIMultiDictProxy[str]": ...
    @property
    def content(self) -> Any: ...  # a Body; aiohttp's has more overloads than a protocol can tell
    @property
    def protocol(self) -> Any: ...  # a Connection
    @property
    def transport(self) -> asyncio.Transport | None: ...
    @property
    def remote(self) -> str | None: ...
    @property
    def keep_alive(self) -> bool: ...


class Source(Connection, Protocol):
    """What a front request needs of the connection it came from. `task` serves it."""

    remote: str | None
    task: asyncio.Task[None] | None

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class FrontBody:
    """A body of announced length, fed by its connection; more than 64 KiB unread stop the reading."""

    __slots__ = ("_discards", "_gone", "_parts", "_size", "_source", "_waiter", "length", "missing")

    def __init__(self, source: Source, length: int) -> None:
        self.length = length
        self.missing = length  # bytes still to come
        self._source = source
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._gone = False
        self._discards = False

    def feed(self, data: bytes) -> bytes:
        """Takes what belongs to the body, returns what lies beyond it."""
        missing = self.missing
        if len(data) == missing == self.length and missing and not self._discards:  # all of it at once
            self.missing = 0
            self._parts.append(data)
            self._wake()
            return b""
        rest = b""
        if len(data) > missing:
            data, rest = data[:missing], data[missing:]
        self.missing = missing - len(data)
        if data and not self._discards:
            self._parts.append(data)
            self._size += len(data)
            self._wake()
            if self._size > BUFFER_BYTES and self.missing:
                self._source.pause_reading()
        return rest

    def lose(self) -> None:
        """The connection is gone: whoever reads on gets ConnectionResetError, unless all had come."""
        self._gone = True
        self._wake()

    def discard(self) -> None:
        """Nobody reads on: what is here and what comes is dropped."""
        self._discards = True
        self._parts.clear()
        self._size = 0

    def is_eof(self) -> bool:
        return not self.missing

    def read_nowait(self) -> bytes:
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._size = 0
        return data

    async def readany(self) -> bytes:
        """The next bytes, b"" at the end. Raises ConnectionResetError."""
        while not self._parts and self.missing:
            if self._gone:
                raise ConnectionResetError("the client left")
            self._source.resume_reading()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.read_nowait()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class FrontRequest(FrontBody):
    """A request that our own front read, and its own body: one object, since there is one for every request."""

    __slots__ = ("_head", "begun", "headers", "method", "protocol", "raw_path")

    version = HttpVersion11

    def __init__(self, source: Source, head: "PlainHead", length: int) -> None:
        FrontBody.__init__(self, source, length)
        self.method = head.method
        self.raw_path = head.target
        self.headers = head.headers
        self.protocol = source
        self.begun = False  # an answer's head has left
        self._head = head

    @property
    def content(self) -> FrontBody:
        return self

    @property
    def facts(self) -> "HeadFacts | None":
        """What was made of an equal head on this connection."""
        return self._head.facts

    def keep_facts(self, facts: "HeadFacts") -> None:
        """For the next request with this head."""
        self._head.facts = facts

    @property
    def transport(self) -> asyncio.Transport | None:
        return self.protocol.transport

    @property
    def remote(self) -> str | None:
        return self.protocol.remote

    @property
    def keep_alive(self) -> bool:
        """Not for a client that still has much to send: waiting for that costs more than a new connection."""
        return self._head.keep_alive and self.missing <= BUFFER_BYTES

    def begin_answer(self) -> None:
        """Raises ConnectionResetError when an answer has begun already: there is no room for a second one."""
        if self.begun:
            raise ConnectionResetError("the answer had begun")
        self.begun = True
