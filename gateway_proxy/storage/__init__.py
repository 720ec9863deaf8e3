"""Storage: SQL behind the protocols of `core.store`. `open_store` is the way in."""

from gateway_proxy.storage.database import StoreConflict, StoreError
from gateway_proxy.storage.store import Store, open_database, open_store

__all__ = ["Store", "StoreConflict", "StoreError", "open_database", "open_store"]
