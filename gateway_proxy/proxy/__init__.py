"""Sockets: aiohttp serves the clients, our own connections reach the providers, the relay copies between them."""
