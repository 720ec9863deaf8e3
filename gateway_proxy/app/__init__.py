"""The product put together: one gateway, its lifetime, its server."""
