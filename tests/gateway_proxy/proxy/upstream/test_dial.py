"""Opening connections: TLS with a throwaway authority, CONNECT tunnels, and every way they fail."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway_proxy.proxy.upstream import ConnectFailed, HttpProxy, Origin, UpstreamBroken, UpstreamTimeout
from gateway_proxy.proxy.upstream.dial import default_ssl_context
from tests.gateway_proxy.proxy.upstream.scripted import (
    HEAD,
    OK,
    SHORT,
    Peer,
    answering,
    exchange,
    pool_to,
    serving,
)
from tests.support.waiting import until


def _make_certificate(folder: Path, name: str, address: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))]),
            False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_certificate(tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_certificate(tmp_path_factory.mktemp("tls"), "other.example", "127.0.0.9")


def _as_https(origin: Origin) -> Origin:
    return Origin("https", origin.host, origin.port)


def _server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def test_tls_verified_with_a_custom_authority(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    spoken: list[str | None] = []

    async def script(peer: Peer) -> None:
        spoken.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await answering(OK, OK, hang=True)(peer)

    async with serving(script, _server_side(certificate)) as server, pool_to(server.origin) as pool:
        assert await exchange(pool) == (200, b"hello")
        assert await exchange(pool) == (200, b"hello")
        assert (server.connections, spoken) == (1, ["http/1.1"])
        named = Origin("https", "localhost", server.origin.port)
        async with pool_to(named) as by_name:
            assert await exchange(by_name) == (200, b"hello")


async def test_an_unknown_authority_is_refused(certificate: Path) -> None:
    async with serving(answering(OK), _server_side(certificate)) as server, pool_to(server.origin) as pool:
        with pytest.raises(ConnectFailed, match="certificate refused") as caught:
            await exchange(pool)
        assert not caught.value.request_sent
        assert pool.stats().open == 0


async def test_a_certificate_for_another_name_is_refused(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(stranger))
    async with serving(answering(OK), _server_side(stranger)) as server, pool_to(server.origin) as pool:
        with pytest.raises(ConnectFailed, match="certificate refused"):
            await exchange(pool)


async def test_no_tls_below_1_2(certificate: Path) -> None:
    assert default_ssl_context().minimum_version == ssl.TLSVersion.TLSv1_2
    assert default_ssl_context().verify_mode == ssl.CERT_REQUIRED
    assert default_ssl_context().check_hostname


async def test_a_peer_that_speaks_no_tls() -> None:
    async def script(peer: Peer) -> None:
        await peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(script) as server, pool_to(_as_https(server.origin)) as pool:
        with pytest.raises(ConnectFailed):
            await exchange(pool)
        assert pool.stats().open == 0


async def test_a_handshake_that_hangs() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async with serving(script) as server, pool_to(_as_https(server.origin), SHORT) as pool:
        begun = time.monotonic()
        with pytest.raises(ConnectFailed, match=r"within 0\.2 s") as caught:
            await exchange(pool)
        assert time.monotonic() - begun < 1.2
        assert (caught.value.timed_out, caught.value.request_sent) == (True, False)
        assert pool.stats().open == 0


async def test_a_connect_that_hangs() -> None:
    """A listener whose queue is full drops every further SYN."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        async with pool_to(Origin("http", "127.0.0.1", listener.getsockname()[1]), SHORT) as pool:
            begun = time.monotonic()
            with pytest.raises(ConnectFailed) as caught:
                await exchange(pool)
            assert 0.15 < time.monotonic() - begun < 1.2
            assert caught.value.timed_out
            assert pool.stats().open == 0


async def test_the_second_address_is_tried_when_the_first_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(answering(OK)) as server:
        port = server.origin.port
        loop = asyncio.get_running_loop()
        looked_up: list[str] = []

        async def both(host: str, _: int, **__: object) -> list[tuple[object, ...]]:
            looked_up.append(host)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
            return [(*kind, ("127.0.0.77", port)), (*kind, ("127.0.0.1", port))]

        class Loop:
            def __getattr__(self, name: str) -> object:
                return both if name == "getaddrinfo" else getattr(loop, name)

        monkeypatch.setattr("gateway_proxy.proxy.upstream.dial.asyncio.get_running_loop", Loop)
        async with pool_to(Origin("http", "two.example", port)) as pool:
            assert await exchange(pool) == (200, b"hello")
        assert looked_up == ["two.example"]


async def test_an_unknown_name() -> None:
    async with pool_to(Origin("http", "nowhere.invalid", 80)) as pool:
        with pytest.raises(ConnectFailed, match=r"nowhere\.invalid:80") as caught:
            await exchange(pool)
        assert not caught.value.request_sent


async def test_cancelling_while_opening_leaks_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async with serving(script) as server, pool_to(_as_https(server.origin)) as pool:
        task = asyncio.create_task(exchange(pool))
        await until(lambda: server.connections == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.stats() == (0, 0, 0, 0)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_https_goes_through_a_tunnel(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked: list[bytes] = []

    async def proxy_script(peer: Peer) -> None:
        asked.append(await peer.request())
        port = int(asked[-1].split(b" ")[1].rpartition(b":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.write(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")
        try:
            await asyncio.gather(_pump(peer.reader, writer), _pump(reader, peer.writer))
        finally:
            writer.transport.abort()

    async with (
        serving(answering(OK, OK, hang=True), _server_side(certificate)) as server,
        serving(proxy_script) as middle,
    ):
        proxy = HttpProxy.from_url(f"http://me:pw@127.0.0.1:{middle.origin.port}")
        async with pool_to(server.origin, http_proxy=proxy) as pool:
            assert await exchange(pool) == (200, b"hello")
            assert await exchange(pool) == (200, b"hello")
            assert (pool.request_target_prefix, pool.proxy_head_lines) == (b"", b"")
        port = server.origin.port
        assert asked == [
            b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            b"Proxy-Authorization: Basic bWU6cHc=\r\n\r\n" % (port, port)
        ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the tunnel with status 407"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "before the tunnel"),
        (b"", "closed the connection instead"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 40_000, "too long"),
    ],
    ids=["refused", "not http", "extra bytes", "closed", "endless"],
)
async def test_tunnels_that_fail(answer: bytes, message: str) -> None:
    async with serving(answering(answer)) as middle:
        proxy = HttpProxy.from_url(f"http://me:s3cret@127.0.0.1:{middle.origin.port}")
        async with pool_to(Origin("https", "api.example", 443), http_proxy=proxy) as pool:
            with pytest.raises(ConnectFailed, match=message) as caught:
                await exchange(pool)
            assert "s3cret" not in repr(caught.value)
            assert not caught.value.request_sent
            assert pool.stats().open == 0


async def test_http_through_a_proxy_leaves_the_form_to_the_author_of_the_head() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.write(OK)

    async with serving(script) as middle:
        proxy = HttpProxy.from_url(f"http://me:pw@127.0.0.1:{middle.origin.port}")
        async with pool_to(Origin("http", "api.example", 8080), http_proxy=proxy) as pool:
            head = b"GET %s/v1 HTTP/1.1\r\n%s\r\n" % (pool.request_target_prefix, pool.proxy_head_lines)
            assert (await pool.send(head)).status == 200
    assert seen == [b"GET http://api.example:8080/v1 HTTP/1.1\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n"]


async def test_broken_and_silent_answers_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    cut = OK[:-2]
    async with serving(answering(cut), _server_side(certificate)) as server, pool_to(server.origin) as pool:
        with pytest.raises(UpstreamBroken):
            await exchange(pool)
    async with (
        serving(answering(cut, hang=True), _server_side(certificate)) as server,
        pool_to(server.origin, SHORT) as pool,
    ):
        response = await pool.send(HEAD, b"{}")
        with pytest.raises(UpstreamTimeout):
            await response.read_all(100)
        assert pool.stats().open == 0


async def test_a_large_body_over_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    body = bytes(3_000_000)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with (
        serving(answering(answer, OK, hang=True), _server_side(certificate)) as server,
        pool_to(server.origin) as pool,
    ):
        head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
        response = await pool.send(head, body)
        assert await response.read_all(len(body)) == body
        assert await exchange(pool) == (200, b"hello")
        assert server.connections == 1


@pytest.mark.parametrize("clean", [True, False], ids=["close_notify", "bare FIN"])
async def test_a_body_until_close_over_tls_ends_with_close_notify_only(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, clean: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await asyncio.sleep(0.02)
        if not clean:
            peer.writer.transport.abort()

    async with serving(script, _server_side(certificate)) as server, pool_to(server.origin) as pool:
        response = await pool.send(HEAD, b"{}")
        if clean:
            assert await response.read_all(100) == b"hello"
        else:
            with pytest.raises(UpstreamBroken):
                await response.read_all(100)
