"""The wire format of Anthropic's Messages API."""

from gateway_proxy.dialects.anthropic.dialect import AnthropicDialect

__all__ = ["AnthropicDialect"]
