"""The Ed25519 pairs (RFC 8032) that sign ephemeral tokens: one a gateway, its private half in the data folder.

The public halves lie in the store, where every gateway finds those of all others. A pair that was replaced is
believed for as long as a token of it can live. The private half is read each time that a token is made, so a
rotation holds at once for every process of a gateway.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_proxy.core.store import SigningKey
from gateway_proxy.keys.gateway_id import read_gateway_id
from gateway_proxy.keys.private_file import create_private_file, replace_private_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAX_TTL_SECONDS = 86_400
_PRIVATE_FILE = "signing-key"


class SigningError(Exception):
    """The pair cannot be read or made; the text says why and what to do, and holds nothing of it."""


def load_cryptography() -> None:
    """Import what signs and verifies, which takes a while: for a thread, before the first token comes."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ed25519

    assert jwt and ed25519


@dataclass(frozen=True, slots=True)
class Signer:
    """A gateway's pair. `kid` names it in tokens."""

    gateway_id: str
    kid: str
    public_key: bytes
    private: "Ed25519PrivateKey" = field(repr=False)


class SigningFile:
    """The private half in a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / _PRIVATE_FILE

    def load(self) -> Signer:
        """The pair, made if there is none yet. Raises SigningError."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._path.exists():
                create_private_file(self._path, _generate())
            text = self._path.read_bytes()
            gateway_id = read_gateway_id(self._data_dir)
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be read") from None
        except ValueError as error:
            raise SigningError(str(error)) from None
        try:
            return self._signer(load_pem_private_key(text, None), gateway_id)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise self._unusable("it holds no unencrypted Ed25519 key in PEM") from None

    def replace(self) -> Signer:
        """A new pair, which signs from now on. Raises SigningError."""
        try:
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_private_file(self._path, _generate())
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be written") from None
        return self.load()

    def _signer(self, private: object, gateway_id: str) -> Signer:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if not isinstance(private, Ed25519PrivateKey):
            raise self._unusable("it holds a key of another kind than Ed25519")
        public = private.public_key().public_bytes_raw()
        return Signer(gateway_id, name_pair(public), public, private)

    def _unusable(self, why: str) -> SigningError:
        return SigningError(
            f"the signing key {self._path} cannot be used: {why}; restore the file, or delete it to get a new one"
        )


class PublicKeys:
    """The public halves that tokens are verified with."""

    def __init__(self) -> None:
        self._rows: dict[str, SigningKey] = {}
        self._loaded: dict[str, Ed25519PublicKey] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def take(self, rows: Iterable[SigningKey]) -> None:
        """Believe these and no others."""
        self._rows = {row.kid: row for row in rows}
        self._loaded.clear()

    def rows(self) -> list[SigningKey]:
        """Those that are believed."""
        return list(self._rows.values())

    def find(self, kid: object, now_ms: int) -> SigningKey | None:
        """The row of a pair that is believed now."""
        row = self._rows.get(kid) if isinstance(kid, str) else None
        if row is None or (row.believed_until is not None and now_ms >= row.believed_until):
            return None
        return row

    def load(self, row: SigningKey) -> "Ed25519PublicKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        public = self._loaded.get(row.kid)
        if public is None:
            public = self._loaded[row.kid] = Ed25519PublicKey.from_public_bytes(row.public_key)
        return public


def name_pair(public_key: bytes) -> str:
    """The `kid` of a pair: a fingerprint of its public half."""
    return urlsafe_b64encode(hashlib.sha256(public_key).digest()[:12]).decode()


def _generate() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = Ed25519PrivateKey.generate()
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
