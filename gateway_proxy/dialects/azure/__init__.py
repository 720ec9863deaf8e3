"""OpenAI's wire format at Azure's paths."""

from gateway_proxy.dialects.azure.dialect import AzureDialect

__all__ = ["AzureDialect"]
