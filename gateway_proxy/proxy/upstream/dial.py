"""Opening a connection: name look-up, TCP, an optional CONNECT tunnel, TLS.

Every failure is a ConnectFailed: until `open_connection` returns, no byte of a request has left. The time limit
is the caller's (cancellation closes the socket); here it is only shared out among a name's addresses.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

from gateway_proxy.proxy.upstream.connection import Connection
from gateway_proxy.proxy.upstream.errors import ConnectFailed
from gateway_proxy.proxy.upstream.http_proxy import HttpProxy
from gateway_proxy.proxy.upstream.origin import Origin

MAX_TUNNEL_HEAD_BYTES = 16_384


def default_ssl_context() -> ssl.SSLContext:
    """TLS 1.2 or newer, names and chains verified; SSL_CERT_FILE and SSL_CERT_DIR replace the system's roots."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def open_connection(
    make_connection: Callable[[], Connection],
    origin: Origin,
    *,
    ssl_context: ssl.SSLContext | None,
    http_proxy: HttpProxy | None,
    timeout_seconds: float,
) -> Connection:
    """Open a connection to an origin. Raises ConnectFailed, with no credential in its text."""
    connection = make_connection()
    sock: socket.socket | None = None
    hop = http_proxy or origin
    try:
        sock = await _connect_tcp(hop.host, hop.port, timeout_seconds)
        if http_proxy is not None and ssl_context is not None:
            await _open_tunnel(sock, origin, http_proxy)
        await asyncio.get_running_loop().create_connection(
            lambda: connection,
            sock=sock,
            ssl=ssl_context,
            server_hostname=origin.host if ssl_context is not None else None,
        )
    except BaseException as error:
        connection.abort()
        if sock is not None:
            sock.close()
        if isinstance(error, OSError):
            raise ConnectFailed(
                f"cannot reach {hop.host}:{hop.port}: {_describe(error)}",
                timed_out=isinstance(error, TimeoutError),
            ) from error
        raise
    if connection.closed:
        raise ConnectFailed(f"{hop.host}:{hop.port} closed the connection at once")
    return connection


async def _connect_tcp(host: str, port: int, timeout_seconds: float) -> socket.socket:
    """Try a name's addresses in the resolver's order, each with its share of the time.

    So a black hole behind the first address (a broken IPv6 route, mostly) leaves time for the second.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_seconds
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = OSError("the name has no address")
    for position, (family, kind, protocol, _, address) in enumerate(addresses):
        left = len(addresses) - position
        share = (deadline - loop.time()) / left if left > 1 else None
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            async with asyncio.timeout(share):
                await loop.sock_connect(sock, address)
        except OSError as error:  # TimeoutError is one
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _open_tunnel(sock: socket.socket, origin: Origin, http_proxy: HttpProxy) -> None:
    """CONNECT (RFC 9110 §9.3.6). Raises ConnectFailed unless the proxy answers 2xx and nothing beyond."""
    loop = asyncio.get_running_loop()
    target = origin.netloc.encode("ascii")
    lines = [b"CONNECT " + target + b" HTTP/1.1", b"Host: " + target]
    if http_proxy.authorization:
        lines.append(b"Proxy-Authorization: " + http_proxy.authorization)
    await loop.sock_sendall(sock, b"\r\n".join([*lines, b"", b""]))
    head = b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise ConnectFailed("the proxy closed the connection instead of opening a tunnel")
        head += data
        if len(head) > MAX_TUNNEL_HEAD_BYTES:
            raise ConnectFailed("the proxy's answer to CONNECT is too long")
    version, _, rest = head.partition(b" ")
    if version not in (b"HTTP/1.0", b"HTTP/1.1") or not rest[:3].isdigit():
        raise ConnectFailed("the proxy's answer to CONNECT is not HTTP")
    if not rest.startswith(b"2"):
        raise ConnectFailed(f"the proxy refused the tunnel with status {rest[:3].decode('ascii')}")
    # In TLS the client speaks first: anything after the head was not written by the origin.
    if not head.endswith(b"\r\n\r\n") or head.count(b"\r\n\r\n") > 1:
        raise ConnectFailed("the proxy sent bytes before the tunnel was used")


def _describe(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS handshake failed: {error.reason or type(error).__name__}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "name not found"
    return getattr(error, "strerror", None) or type(error).__name__
