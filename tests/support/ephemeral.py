"""What signs ephemeral tokens in tests: a pair of its own in a temporary folder, made once."""

import functools
import tempfile
from pathlib import Path

from gateway_proxy.core.key import EPHEMERAL, Key
from gateway_proxy.core.store import SigningKey
from gateway_proxy.keys.signing import PublicKeys, Signer, SigningFile

NOW = 1_790_000_000_000
PARENT = Key(
    id="key_01k0000000000000000000000p", name="parent", organization="default", owner="ada@example.com"
)


@functools.cache
def signer() -> Signer:
    with tempfile.TemporaryDirectory() as folder:
        return SigningFile(Path(folder)).load()


def row_of(signed_by: Signer, believed_until: int | None = None) -> SigningKey:
    return SigningKey(signed_by.kid, signed_by.gateway_id, signed_by.public_key, 0, believed_until)


def believing(*rows: SigningKey) -> PublicKeys:
    pairs = PublicKeys()
    pairs.take(rows or [row_of(signer())])
    return pairs


def make_token_key(parent: Key | None = PARENT, **members: object) -> Key:
    """The key of a token of an hour."""
    usual: dict[str, object] = {
        "id": "key_01k0000000000000000000000t", "name": "token", "organization": "default", "owner": "ada@example.com",
        "kind": EPHEMERAL, "parent_id": parent and parent.id, "created_at": NOW, "expires_at": NOW + 3_600_000,
    }  # fmt: skip
    return Key(**{**usual, **members})  # type: ignore[arg-type]
