"""The wire format of OpenAI and of everybody who speaks it."""

from gateway_proxy.dialects.openai.dialect import OpenAIDialect

__all__ = ["OpenAIDialect"]
