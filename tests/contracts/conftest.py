"""Every backend that a contract suite runs on; a further one is a further parameter."""

from tests.support.stores import clock, store, store_url

__all__ = ["clock", "store", "store_url"]
