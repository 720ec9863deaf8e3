"""A fresh store for each test, on each database."""

from tests.support.stores import clock, store, store_url

__all__ = ["clock", "store", "store_url"]
