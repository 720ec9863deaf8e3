"""What a running gateway tells the admin side about itself, and the `GatewayView` made of it.

The gateway's own part (`Inside`) is quick and looks at live objects only; what follows from the settings alone is
worked out by whoever asks, which in the product is another process. Answers hold no secret.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.limiter import CounterUnknown, Meter
from gateway_proxy.core.money import format_usd
from gateway_proxy.core.usage import Price
from gateway_proxy.explain import Question, explain, unknown_here

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway
    from gateway_proxy.core.catalog import ModelEntry
    from gateway_proxy.core.limiter import BucketRule

Ask = Callable[..., Awaitable[Any]]
_PER_MILLION = (
    "input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "output", "reasoning", "audio_output",
)  # fmt: skip
# As [[models]] price spells them; rates are per million pieces.
_PER_PIECE = {
    "requests": "per_request", "images": "per_image", "seconds": "per_second", "characters": "per_character",
    "searches": "per_search",
}  # fmt: skip
_MILLION = 1_000_000


class Inside:
    """Answers questions about one gateway, at once and in its own event loop."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._answers: dict[str, Callable[..., Any]] = {
            "revision": self._tell_revision,
            "health": self._tell_health,
            "counters": self._tell_counters,
            "explain": self._explain,
            "mcp_servers": self._tell_mcp_servers,
            "mcp_changed": self._tell_changed_tool,
            "mcp_approve": self._approve_tool,
        }

    def answer(self, question: str, *arguments: Any) -> Any:
        """Raises KeyError for a question that it does not know."""
        return self._answers[question](*arguments)

    async def ask(self, question: str, *arguments: Any) -> Any:
        """The same for a view in this process."""
        return self.answer(question, *arguments)

    def _tell_revision(self) -> dict[str, Any]:
        gateway = self._gateway
        source = gateway.config.source
        return {
            "revision": gateway.revision,
            "digest": gateway.config.digest,
            "source": None if source is None else str(source),
            "reload_error": gateway.reload_error or None,
        }

    def _tell_health(self) -> dict[str, str]:
        breakers = self._gateway.services.breakers
        return {provider.name: breakers.health(provider.name) for provider in self._gateway.config.providers}

    def _tell_mcp_servers(self) -> list[dict[str, Any]]:
        return self._gateway.mcp.servers.describe()

    def _tell_changed_tool(self, server: str, tool: str) -> dict[str, str] | None:
        return self._gateway.mcp.servers.find_changed(server, tool)

    def _approve_tool(self, *approval: str) -> None:
        self._gateway.mcp.servers.approve(*approval)

    def _tell_counters(self, key_id: str) -> dict[str, Any]:
        policy = self._gateway.directory.policy(key_id)
        if policy is None:
            return {"requests": None, "tokens": None, "parallel": None, "budget": None}
        rules = policy.shadow or policy
        key, limiter = rules.key, self._gateway.limiter

        def bucket(meter: Meter, rule: "BucketRule | None") -> dict[str, int] | None:
            return None if rule is None else limiter.bucket_state(key_id, meter, rule)._asdict()

        slots = key.max_parallel_requests
        return {
            "requests": bucket(Meter.REQUESTS, rules.requests_rule),
            "tokens": bucket(Meter.TOKENS, rules.tokens_rule),
            "parallel": None if slots is None else {"limit": slots, "used": limiter.slots_used(key_id)},
            "budget": self._tell_budget(key_id),
        }

    def _explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        gateway = self._gateway
        policy = gateway.tokens.policy(key_id)
        organization = gateway.config.gateway.organization
        if policy is None or organization not in ("*", policy.key.organization):
            return unknown_here()
        stages, now_ms = gateway.runtime.pipeline.stages, gateway.clock.now_ms()
        return explain(stages, gateway.limiter, policy, Question.from_json(question), now_ms)

    def _tell_budget(self, key_id: str) -> dict[str, Any] | None:
        policy = self._gateway.directory.policy(key_id)
        assert policy is not None
        try:
            budget = self._gateway.limiter.budget_state((policy.shadow or policy).key)
        except CounterUnknown:
            return None
        return None if budget is None else {
            "limit_usd": format_usd(budget.limit_nanos),
            "spent_usd": format_usd(budget.spent_nanos),
            "reserved_usd": format_usd(budget.reserved_nanos),
            "remaining_usd": format_usd(budget.remaining_nanos),
            "resets_at": format_time(budget.resets_at),
        }  # fmt: skip


class SettingsView:
    """The `GatewayView` over one revision of the settings; `ask` reaches the gateway's `Inside`."""

    def __init__(self, ask: Ask, config: Config, clock: Clock) -> None:
        self._ask = ask
        self._config = config
        self._clock = clock
        self._models: tuple[list[dict[str, Any]], int | None] | None = (
            None  # and until when their prices stand
        )

    async def config(self) -> dict[str, Any]:
        revision: dict[str, Any] = await self._ask("revision")
        return {**revision, "settings": self._config.without_secrets()}

    async def providers(self) -> list[dict[str, Any]]:
        health = await self._ask("health")
        targets = [target for model in self._config.models for target in model.targets]
        return [
            {
                "name": provider.name,
                "dialect": provider.dialect,
                "base_url": str(provider.base_url),
                "health": health.get(provider.name, "up"),
                "models": sorted(
                    {*provider.models, *(t.model for t in targets if t.provider == provider.name)}
                ),
            }
            for provider in self._config.providers
        ]

    async def mcp_servers(self) -> list[dict[str, Any]]:
        servers: list[dict[str, Any]] = await self._ask("mcp_servers")
        return servers

    async def changed_tool(self, server: str, tool: str) -> dict[str, str] | None:
        changed: dict[str, str] | None = await self._ask("mcp_changed", server, tool)
        return changed

    async def approve_tool(self, server: str, tool: str, fingerprint: str, definition: str) -> None:
        await self._ask("mcp_approve", server, tool, fingerprint, definition)

    async def models(self) -> list[dict[str, Any]]:
        now_ms = self._clock.now_ms()
        if self._models is None or (self._models[1] is not None and now_ms >= self._models[1]):
            self._models = await asyncio.to_thread(_list_models, self._config, now_ms)
        return self._models[0]

    async def counters(self, key_id: str) -> dict[str, Any]:
        counters: dict[str, Any] = await self._ask("counters", key_id)
        return counters

    async def explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        told: dict[str, Any] = await self._ask("explain", key_id, question)
        return told


def _list_models(config: Config, now_ms: int) -> tuple[list[dict[str, Any]], int | None]:
    """Every listed model with its price, and until when the prices stand."""
    from gateway_proxy.pricing.book import PriceBook
    from gateway_proxy.routing.catalog import build_catalog

    book = PriceBook.load(now_ms)
    catalog = build_catalog(config, book)
    entries = (catalog.resolve(name) for name in catalog.names())
    return [_describe_model(entry) for entry in entries if entry is not None], book.next_change_at()


def _describe_model(entry: "ModelEntry") -> dict[str, Any]:
    price = entry.targets[0].price
    return {
        "name": entry.name,
        "declared": entry.declared,
        "targets": [{"provider": target.provider, "model": target.model} for target in entry.targets],
        "price": None if price is None else describe_price(price),
        "price_source": None if price is None else price.base.source,
    }


def describe_price(price: Price) -> dict[str, str]:
    """USD as `[[models]] price` writes it: per million tokens, or per piece. Classes at 0 are left out, but for
    input and output."""
    rates = price.base
    amounts = {name: getattr(rates, name) for name in _PER_MILLION}
    usd = {name: format_usd(rate) for name, rate in amounts.items() if rate or name in ("input", "output")}
    for name, unit in _PER_PIECE.items():
        if rate := getattr(rates, name):
            usd[unit] = format_usd(-(-rate // _MILLION))
    return usd
