"""What a gateway stands on is opened whole or not at all."""

from pathlib import Path

import pytest

from gateway_proxy.app.opening import opened_store
from gateway_proxy.config import config_from_dict
from gateway_proxy.keys.pepper import PepperError
from gateway_proxy.storage import StoreError


async def test_store_and_pepper_are_made_and_found_again(tmp_path: Path) -> None:
    config = config_from_dict({"storage": {"url": "sqlite:deep/gateway.db"}}, tmp_path)
    async with opened_store(config) as (store, pepper):
        assert await store.registry.list_gateways() == []
    async with opened_store(config) as (_, again):
        assert again == pepper
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


async def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    config = config_from_dict({}, tmp_path)
    async with opened_store(config, for_demo=True) as (store, _):
        await store.registry.mark_demo()
    with pytest.raises(StoreError, match="store of a demo"):
        async with opened_store(config):
            pass
    async with opened_store(config, for_demo=True):
        pass
    (tmp_path / "gateway-data" / "pepper").unlink()
    (tmp_path / "gateway-data" / "pepper").mkdir()
    with pytest.raises(PepperError):
        async with opened_store(config, for_demo=True):
            pass
