from pathlib import Path

import pytest

from gateway_proxy.storage import StoreError, open_store


async def test_a_store_is_not_migrated_unless_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run `gateway-proxy migrate`"):
        await open_store(f"sqlite:{tmp_path}/a.db")
    store = await open_store(f"sqlite:{tmp_path}/a.db", migrate=True)
    await store.close()
    store = await open_store(f"sqlite:{tmp_path}/a.db", create=False)
    await store.close()


async def test_both_forms_of_the_url_name_the_same_file(tmp_path: Path) -> None:
    store = await open_store(f"sqlite://{tmp_path}/a.db", migrate=True)
    await store.close()
    assert (tmp_path / "a.db").exists()


@pytest.mark.parametrize("url", ["gateway.db", "mysql://root:hunter2@db/x", "sqlite:", "sqlite::memory:"])
async def test_other_urls_are_refused_without_repeating_a_password(url: str) -> None:
    with pytest.raises(StoreError, match=r"\[storage\] url") as caught:
        await open_store(url)
    assert "hunter2" not in str(caught.value)
