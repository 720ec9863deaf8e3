"""Opens what a gateway stands on: its store with the schema up to date, and the pepper."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway_proxy.app.data_dir import ready_data_dir
from gateway_proxy.app.keeping import FILE
from gateway_proxy.config import Config
from gateway_proxy.keys.pepper import PepperError, make_private_folder, read_pepper, ready_pepper
from gateway_proxy.storage import Store, StoreError, open_store


@asynccontextmanager
async def opened_store(config: Config, *, for_demo: bool = False) -> AsyncIterator[tuple[Store, bytes]]:
    """The store and the pepper. Raises StoreError or PepperError and changes nothing when one is wrong.

    The store of a demo is wrong everywhere but in one. A server that is out of reach is no error where there is a snapshot
    to go on from: then the store is not joined yet, and `join_store` does the rest.
    """
    path = config.storage.sqlite_path
    ready_data_dir(config, writes=True)
    if path is not None and not path.parent.exists():
        make_private_folder(path.parent)
    has_snapshot = path is None and (config.storage.data_dir / FILE).exists()
    store = await open_store(config.storage.url.reveal(), migrate=True, patient=has_snapshot)
    try:
        if store.is_joined:
            yield store, await _ready(store, config, for_demo=for_demo)
        else:
            yield store, read_pepper(config.security.pepper, os.environ)
    finally:
        await store.close()


async def join_store(store: Store, config: Config, pepper: bytes) -> None:
    """What `opened_store` could not do. Raises StoreError or PepperError; may be repeated."""
    await store.join(migrate=True)
    if await _ready(store, config, for_demo=False) != pepper:
        raise PepperError("the pepper was replaced since this gateway started; start it again")


async def _ready(store: Store, config: Config, *, for_demo: bool) -> bytes:
    if not for_demo and await store.registry.is_demo():
        path = config.storage.sqlite_path
        raise StoreError(f"{path or 'this database'} is the store of a demo; give [storage] url another one")
    return await ready_pepper(config.security.pepper, os.environ, store.registry, store.keys)
