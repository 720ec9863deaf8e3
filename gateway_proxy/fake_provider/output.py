"""Bytes on the wire: response heads, chunked framing, event pieces, the gzip bomb. What is sent when does not belong here."""

import http
import zlib
from collections.abc import Sequence

from gateway_proxy.fake_provider.behaviour import Behaviour
from gateway_proxy.fake_provider.connection import Connection

LAST_CHUNK = b"0\r\n\r\n"
FLUSH_BYTES = 16 << 10
_MEGABYTE = 1 << 20


def response_head(status: int, headers: Sequence[tuple[str, str]]) -> bytes:
    """Status line and headers, ended. Values are sent as they are, so a mode may smuggle control bytes."""
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One HTTP/1.1 chunk (RFC 9112 section 7.1); nothing for no data, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def gzip_bomb(body: bytes, megabytes: int, padding_start: bytes) -> bytes:
    """Gzip data of `megabytes` of padding lines, then `body`.

    The padding is compressed once and repeated, which a full flush allows (RFC 1951: no back-reference crosses it).
    """
    block = padding_start + b" " * (_MEGABYTE - len(padding_start) - 1) + b"\n"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    ending = packer.compress(body) + packer.flush(zlib.Z_FINISH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(block, checksum)
    checksum = zlib.crc32(body, checksum)
    size = (megabytes * _MEGABYTE + len(body)) & 0xFFFFFFFF
    trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + packed * megabytes + ending + trailer


class EventOutput:
    """Events on their way out: one chunk each, in pieces, or only collected.

    `collected` is all there was when `collect` is set; then nothing is written.
    """

    def __init__(self, connection: Connection, behaviour: Behaviour, collect: bool) -> None:
        self.collected = bytearray()
        self.pending_bytes = 0
        self._connection = connection
        self._collect = collect
        self._crlf = behaviour.mode == "crlf"
        self._piece_bytes = max(1, behaviour.size) if behaviour.mode == "split" else 0
        self._piece_pause_seconds = behaviour.flush_ms / 1000
        self._pending: list[bytes] = []

    def add(self, event: bytes) -> int:
        """Queue one event; returns its size in bytes."""
        if self._crlf:
            event = event.replace(b"\n", b"\r\n")
        self._pending.append(event)
        self.pending_bytes += len(event)
        return len(event)

    async def flush(self) -> None:
        """Send what is queued and wait until the client keeps up."""
        pending, self._pending, self.pending_bytes = self._pending, [], 0
        if self._collect:
            self.collected += b"".join(pending)
        elif self._piece_bytes:
            for event in pending:
                for start in range(0, len(event), self._piece_bytes):
                    self._connection.write(chunk(event[start : start + self._piece_bytes]))
                    await self._connection.pause(self._piece_pause_seconds)
        else:
            self._connection.write(b"".join([chunk(event) for event in pending]))
        await self._connection.drain()
