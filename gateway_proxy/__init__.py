"""gateway-proxy: a streaming reverse proxy in front of LLM providers, with its own keys, limits and budgets."""

__version__ = "0.1.0"
