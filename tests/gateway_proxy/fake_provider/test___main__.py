"""The process: how it starts, and every way it ends."""

import datetime
import ipaddress
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.gateway_proxy.fake_provider.conftest import Raw
from tests.support.fake_provider import FakeProvider, read_ledger


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake provider")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return paths


def test_terminating_bills_what_was_made(
    start_fake_provider: Callable[..., FakeProvider], tmp_path: Path
) -> None:
    provider = start_fake_provider(ledger_path=tmp_path / "ledger")
    raw = Raw(provider.port)
    raw.chat("tokens=1000 delay_ms=5", stream=True)
    raw.read_until(b"tok ")
    provider.stop()
    raw.socket.close()
    (entry,) = read_ledger(tmp_path / "ledger")
    assert entry.billed
    assert 0 < entry.completion_tokens < 500


def test_killing_leaves_the_acceptance(start_fake_provider: Callable[..., FakeProvider]) -> None:
    provider = start_fake_provider()
    raw = Raw(provider.port)
    raw.chat("tokens=1000 delay_ms=5", stream=True)
    raw.read_until(b"tok ")
    provider.kill()
    raw.socket.close()
    assert [entry.billed for entry in provider.ledger()] == [False]


def test_it_leaves_when_its_parent_closes_stdin() -> None:
    command = [sys.executable, "-m", "gateway_proxy.fake_provider", "--parent-dies"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"listening on http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(5) == 0


def test_tls(start_fake_provider: Callable[..., FakeProvider], tmp_path: Path) -> None:
    provider = start_fake_provider(tls=make_certificate(tmp_path))
    assert provider.origin.startswith("https://")
    assert provider.stats()["active"] == 0


def test_what_it_cannot_do_is_one_clear_line(
    tmp_path: Path, start_fake_provider: Callable[..., FakeProvider]
) -> None:
    with pytest.raises(RuntimeError, match=r"fake provider: cannot start: .*no-such-folder") as caught:
        start_fake_provider(ledger_path=tmp_path / "no-such-folder" / "ledger")
    assert "Traceback" not in str(caught.value)
