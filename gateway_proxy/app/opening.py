"""Opens what a gateway stands on: its store with the schema up to date, and the pepper."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway_proxy.config import Config
from gateway_proxy.keys.pepper import make_private_folder, ready_pepper
from gateway_proxy.storage import Store, StoreError, open_store


@asynccontextmanager
async def opened_store(config: Config, *, for_demo: bool = False) -> AsyncIterator[tuple[Store, bytes]]:
    """The store and the pepper. Raises StoreError or PepperError and changes nothing when one is wrong.

    The store of a demo is wrong everywhere but in one.
    """
    path = config.storage.sqlite_path
    make_private_folder(config.storage.data_dir)
    if path is not None and not path.parent.exists():
        make_private_folder(path.parent)
    store = await open_store(config.storage.url.reveal(), migrate=True)
    try:
        if not for_demo and await store.registry.is_demo():
            raise StoreError(
                f"{path or 'this database'} is the store of a demo; give [storage] url another one"
            )
        pepper = await ready_pepper(config.security.pepper, os.environ, store.registry, store.keys)
        yield store, pepper
    finally:
        await store.close()
