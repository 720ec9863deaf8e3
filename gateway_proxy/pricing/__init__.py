"""What models cost: a table compiled from genai-prices, and the prices that the settings declare."""

from gateway_proxy.pricing.book import PriceBook, PriceEntry
from gateway_proxy.pricing.declared import price_from_usd

__all__ = ["PriceBook", "PriceEntry", "price_from_usd"]
