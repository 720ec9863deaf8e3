"""The pepper: made once, kept private, and never silently swapped."""

import stat
from pathlib import Path

import pytest

from gateway_proxy.config import SecretReference
from gateway_proxy.keys.pepper import PepperError, make_private_folder, ready_pepper
from gateway_proxy.keys.secret import pepper_id


class Store:
    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self.in_use = self.has_gateway = False

    async def get_meta(self, name: str) -> str | None:
        return self.facts.get(name)

    async def has_live_gateway(self) -> bool:
        return self.has_gateway

    async def replace_pepper(self, fingerprint: str) -> bool:
        if not (self.in_use or self.has_gateway):
            self.facts["pepper_id"] = fingerprint
        return not (self.in_use or self.has_gateway)

    async def has_secrets(self) -> bool:
        return self.in_use


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "pepper"


async def ready(path: Path, store: Store) -> bytes:
    return await ready_pepper(SecretReference("file", str(path)), {}, store, store)


async def test_a_missing_one_is_made_for_an_empty_store(path: Path, store: Store) -> None:
    pepper = await ready(path, store)
    assert len(bytes.fromhex(pepper.decode())) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["pepper"]
    assert store.facts == {"pepper_id": pepper_id(pepper)}
    assert await ready(path, store) == pepper


async def test_a_lost_one_is_not_replaced_while_secrets_depend_on_it(path: Path, store: Store) -> None:
    await ready(path, store)
    path.unlink()
    store.in_use = True
    kept = dict(store.facts)
    with pytest.raises(PepperError, match="restore the file"):
        await ready(path, store)
    assert not path.exists()
    assert store.facts == kept


async def test_another_one_is_refused_while_secrets_depend_on_the_first(path: Path, store: Store) -> None:
    await ready(path, store)
    store.in_use = True
    path.write_text("x" * 40)
    kept = dict(store.facts)
    with pytest.raises(PepperError, match="not the one") as caught:
        await ready(path, store)
    assert "x" * 40 not in str(caught.value)
    assert store.facts == kept


async def test_a_running_gateway_keeps_its_pepper_before_there_is_a_secret(path: Path, store: Store) -> None:
    mine = await ready(path, store)
    store.has_gateway = True
    assert await ready(path, store) == mine
    kept = dict(store.facts)
    path.write_text("x" * 40)
    with pytest.raises(PepperError, match="gateway which runs on the store"):
        await ready(path, store)
    path.unlink()
    with pytest.raises(PepperError, match="a gateway runs on the store"):
        await ready(path, store)
    assert not path.exists() and store.facts == kept


async def test_without_secrets_another_one_may_take_over(path: Path, store: Store) -> None:
    await ready(path, store)
    path.write_text("x" * 40)
    assert await ready(path, store) == b"x" * 40
    assert store.facts == {"pepper_id": pepper_id(b"x" * 40)}


async def test_from_the_environment(store: Store) -> None:
    reference = SecretReference("env", "PEPPER")
    assert await ready_pepper(reference, {"PEPPER": "y" * 32}, store, store) == b"y" * 32
    with pytest.raises(PepperError, match="PEPPER is not set"):
        await ready_pepper(reference, {}, store, store)


@pytest.mark.parametrize("content", ["", "sh0rt-1", "two\nlines of more than sixteen"])
async def test_unusable_contents(path: Path, store: Store, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(PepperError) as caught:
        await ready(path, store)
    assert not store.facts
    assert not content or content not in str(caught.value)


async def test_a_folder_that_cannot_be_made(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PepperError, match="cannot be created"):
        await ready(tmp_path / "file" / "data" / "pepper", store)
    assert not store.facts


def test_an_existing_folder_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
