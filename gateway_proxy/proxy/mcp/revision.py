"""What one revision of the settings means for MCP; immutable, swapped as a whole by a reload.

The links in it may outlive it. A message is answered by the revision that it began with.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway_proxy.core.usage import MILLION, Price, Rates
from gateway_proxy.pipeline import Pipeline
from gateway_proxy.proxy.mcp.discovery import PATIENCE_SECONDS, Discovery
from gateway_proxy.proxy.mcp.link import Link

FREE = Price(Rates(source="config"))


@dataclass(frozen=True, slots=True)
class CallPrices:
    """What a tool call at one server costs."""

    per_call: Price = FREE
    tools: Mapping[str, Price] = field(default_factory=dict)

    def of(self, tool: str) -> Price:
        return self.tools.get(tool, self.per_call)


def price_call(nanos: int) -> Price:
    """The price of a call that costs so many nano-USD."""
    return Price(Rates(requests=nanos * MILLION, source="config"))


@dataclass(frozen=True, slots=True)
class McpRevision:
    """`allows_host` judges the value of a Host header; `asked` ends when each server was asked what it offers."""

    pipeline: Pipeline
    links: Mapping[str, Link]
    discovery: Discovery
    prices: Mapping[str, CallPrices]
    forbids: bool  # `mcp.denied_style = "forbidden"`
    allows_host: Callable[[str], bool]
    asked: asyncio.Task[None] | None = None

    async def settle(self) -> None:
        """Right after a start or a reload: wait for the servers' first answers, as long as discovery waits for them."""
        if self.asked is not None and not self.asked.done():
            await asyncio.wait((self.asked,), timeout=PATIENCE_SECONDS)
