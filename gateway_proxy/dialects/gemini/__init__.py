"""The wire format of Google's Gemini API."""

from gateway_proxy.dialects.gemini.dialect import GeminiDialect

__all__ = ["GeminiDialect"]
