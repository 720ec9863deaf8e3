"""Certificates that cannot serve are named before the start; nothing asks the terminal for a passphrase."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway_proxy.config.certificates import find_certificate_problem


def write_key(path: Path, passphrase: bytes = b"") -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    kept = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, kept))
    return key


def write_cert(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway.example")])
    day = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(day)
        .not_valid_after(day + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(cert.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("passphrase", [b"", b"open sesame"])
def test_only_a_pair_without_passphrase_is_usable(tmp_path: Path, passphrase: bytes) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_cert(cert, write_key(key, passphrase))
    problem = find_certificate_problem(cert, key)
    assert ("passphrase" in (problem or "")) is bool(passphrase)


def test_files_that_are_no_pair(tmp_path: Path) -> None:
    cert, key, empty = (tmp_path / name for name in ("cert.pem", "key.pem", "empty.pem"))
    empty.touch()
    write_cert(cert, write_key(key))
    assert "in PEM" in (find_certificate_problem(empty, key) or "")
    assert "in PEM" in (find_certificate_problem(cert, empty) or "")
    write_key(key)
    assert "does not belong to the key" in (find_certificate_problem(cert, key) or "")


def test_missing_files_are_left_to_the_settings_themselves(tmp_path: Path) -> None:
    assert find_certificate_problem(tmp_path / "a", tmp_path / "b") is None
