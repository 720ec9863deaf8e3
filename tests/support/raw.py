"""Requests written byte by byte, for what no client library would send."""

import http.client
import socket
import time
from typing import NamedTuple

__all__ = ["CHAT_BODY", "RawAnswer", "connect", "make_request", "read_answer", "send", "wait_for_close"]

CHAT_BODY = b'{"model":"chat","messages":[{"role":"user","content":"hi"}]}'


class RawAnswer(NamedTuple):
    """The first answer on a connection; status 0 when the connection ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool = False  # the server ended the connection by itself right after it

    @property
    def code(self) -> str:
        """What `x-gateway-error` says, "" without it."""
        return self.headers.get("x-gateway-error", "")


def make_request(
    secret: str = "",
    *,
    line: bytes = b"POST /v1/chat/completions HTTP/1.1",
    body: bytes = CHAT_BODY,
    headers: bytes = b"",
    host: bytes = b"Host: gateway\r\n",
    framing: bytes | None = None,
) -> bytes:
    """A request as it stands on the wire; `headers` are further lines with their ends, `framing` replaces Content-Length."""
    credential = f"Authorization: Bearer {secret}\r\n".encode() if secret else b""
    length = b"Content-Length: %d\r\n" % len(body) if framing is None else framing
    return line + b"\r\n" + host + credential + length + headers + b"\r\n" + body


def connect(port: int, timeout_seconds: float = 10.0) -> socket.socket:
    """A connection to the gateway on this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout_seconds)


def read_answer(connection: socket.socket, method: str = "POST") -> RawAnswer:
    """The next answer, whole. Raises TimeoutError."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, ConnectionError):
        return RawAnswer(0, {}, b"", closed=True)
    finally:
        response.close()
    return RawAnswer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def send(port: int, data: bytes, *, until_closed: bool = False, timeout_seconds: float = 10.0) -> RawAnswer:
    """Write `data` on a connection of its own and read the answer; `until_closed` waits for the server to hang up."""
    method = data.split(b" ", 1)[0].decode("latin-1")
    with connect(port, timeout_seconds) as connection:
        try:
            connection.sendall(data)
        except ConnectionError:
            pass  # it was cut while it was being sent; there may be an answer all the same
        answer = read_answer(connection, method)
        return answer._replace(closed=wait_for_close(connection) is not None) if until_closed else answer


def wait_for_close(connection: socket.socket) -> float | None:
    """Seconds until the server ended the connection; None if it did not within the socket's timeout."""
    began = time.monotonic()
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return None
    except ConnectionError:
        pass
    return time.monotonic() - began
