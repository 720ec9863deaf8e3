"""The pair of a gateway: made once, replaced whole, and believed for as long as it should be."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway_proxy.core.store import SigningKey
from gateway_proxy.keys.gateway_id import read_gateway_id
from gateway_proxy.keys.signing import PublicKeys, SigningError, SigningFile, name_pair

NOW = 1_790_000_000_000
OTHER_KIND = (
    X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)


def test_the_pair_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = SigningFile(tmp_path / "data").load()
    again = SigningFile(tmp_path / "data").load()
    assert (first.kid, first.public_key) == (again.kid, again.public_key)
    assert first.kid == name_pair(first.public_key) and first.gateway_id == read_gateway_id(tmp_path / "data")
    assert (tmp_path / "data" / "signing-key").stat().st_mode & 0o777 == 0o600
    assert "private" not in repr(first)


def test_a_new_pair_signs_from_then_on(tmp_path: Path) -> None:
    file = SigningFile(tmp_path)
    before = file.load()
    after = file.replace()
    assert after.kid != before.kid and after.gateway_id == before.gateway_id
    assert file.load().kid == after.kid


@pytest.mark.parametrize("text", ["", "nonsense", OTHER_KIND], ids=["empty", "nonsense", "another kind"])
def test_a_broken_file_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "signing-key").write_text(text)
    with pytest.raises(SigningError, match=r"signing-key cannot be used: .*; restore the file") as caught:
        SigningFile(tmp_path).load()
    assert not text.strip() or text not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for use in (SigningFile(tmp_path / "file").load, SigningFile(tmp_path / "file").replace):
        with pytest.raises(SigningError, match="cannot be used"):
            use()


def test_a_replaced_pair_is_believed_to_the_millisecond() -> None:
    pairs = PublicKeys()
    assert not pairs
    pairs.take([SigningKey("new", "g", b"", NOW), SigningKey("old", "g", b"", 0, NOW)])
    assert pairs
    assert pairs.find("new", NOW * 2) is not None
    assert pairs.find("old", NOW - 1) is not None and pairs.find("old", NOW) is None
    for kid in ("other", None, 7, ["new"]):
        assert pairs.find(kid, NOW) is None
    pairs.take([])
    assert pairs.find("new", NOW) is None
