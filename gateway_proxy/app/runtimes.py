"""Settings → runtime: what one revision of the configuration means for the data plane."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway_proxy.app.translators import find_foreign
from gateway_proxy.config import Config, Provider
from gateway_proxy.core.catalog import ModelEntry
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.limiter import Limiter, WaitingLimiter
from gateway_proxy.core.stage import Stage, WaitingStage
from gateway_proxy.dialects.anthropic import AnthropicDialect
from gateway_proxy.dialects.azure import AzureDialect
from gateway_proxy.dialects.gemini import GeminiDialect
from gateway_proxy.dialects.openai import OpenAIDialect
from gateway_proxy.pipeline import Pipeline
from gateway_proxy.plugins.load import NO_PLUGINS, Plugins, load_plugins
from gateway_proxy.pricing.book import PriceBook
from gateway_proxy.proxy.client_ip import ClientIp
from gateway_proxy.proxy.links import ProviderLink, identify_provider
from gateway_proxy.proxy.runtime import Runtime
from gateway_proxy.routing.breaker import Breakers
from gateway_proxy.routing.catalog import build_catalog
from gateway_proxy.routing.chooser import Chooser
from gateway_proxy.routing.latencies import Latencies
from gateway_proxy.routing.retry_budget import RetryBudgets
from gateway_proxy.routing.slots import Running, TargetSlots
from gateway_proxy.stages.admission import Admission
from gateway_proxy.stages.allow import Allow
from gateway_proxy.stages.authenticate import Authenticate, FindKey
from gateway_proxy.stages.budget import Budget
from gateway_proxy.stages.keep_body import KeepBody
from gateway_proxy.stages.kept import FindId, Keeper, Keeping, NoteIds
from gateway_proxy.stages.mcp import CallRate, McpRule
from gateway_proxy.stages.network import Network
from gateway_proxy.stages.rate import LearnedOutput, Rate
from gateway_proxy.stages.route import Route
from gateway_proxy.stages.waiting import WaitingAdmission, WaitingBudget


@dataclass(slots=True)
class Services:
    """What outlives a reload."""

    clock: Clock
    limiter: Limiter | WaitingLimiter
    learned: LearnedOutput
    breakers: Breakers
    find_key: FindKey
    books_open: Callable[[], bool]
    find_id: FindId
    note_ids: NoteIds
    chooser: Chooser = field(init=False)
    running: Running = field(default_factory=Counter)

    def __post_init__(self) -> None:
        budgets, latencies = RetryBudgets(self.clock), Latencies(self.clock)
        self.chooser = Chooser(self.breakers, budgets, latencies, random.Random())


def build_runtime(config: Config, revision: int, services: Services, previous: Runtime | None) -> Runtime:
    """A complete runtime, or an exception and nothing changed. Unchanged providers keep their connections.

    Raises ConfigError for a plugin that cannot be used, ValueError for what else the settings' own checks cannot see.
    """
    plugins = load_plugins(config, NO_PLUGINS if previous is None else previous.plugins)
    dialects = make_dialects()
    book = PriceBook.load(services.clock.now_ms())
    catalog = build_catalog(config, book)
    links: dict[str, ProviderLink] = {}
    for provider in config.providers:
        kept = None if previous is None else previous.links.get(provider.name)
        foreign = plugins.dialects.get(provider.dialect)
        if (
            kept is not None
            and kept.identity == identify_provider(provider)
            and foreign in (None, kept.dialect)
        ):
            links[provider.name] = kept
        else:
            links[provider.name] = ProviderLink(provider, _choose_dialect(provider, dialects, plugins))
    chooser = services.chooser
    return Runtime(
        revision=revision,
        digest=config.digest,
        pipeline=Pipeline(build_stages(config, services, dialects, catalog.resolve, plugins)),
        catalog=catalog,
        dialects=dialects,
        links=links,
        client_ip=ClientIp(config.server.trusted_proxies),
        max_body_bytes=config.server.max_body_bytes,
        order=chooser.order,
        may_retry=chooser.retry_budgets.take,
        report=chooser.report,
        observe=chooser.latencies.note,
        slots=_make_slots(config, services),
        price_change_at=book.next_change_at(),
        cors_origins=frozenset(config.server.cors_origins),
        plugins=plugins,
    )


def _make_slots(config: Config, services: Services) -> TargetSlots | None:
    limits = {p.name: p.max_parallel for p in config.providers if p.max_parallel is not None}
    limited = any(target.max_parallel is not None for model in config.models for target in model.targets)
    return TargetSlots(services.running, limits) if limits or limited else None


Resolve = Callable[[str], ModelEntry | None]


def make_dialects() -> dict[str, Dialect]:
    """Every dialect that a client may speak, by name."""
    every: tuple[Dialect, ...] = (OpenAIDialect(), AnthropicDialect(), GeminiDialect(), AzureDialect())
    return {dialect.name: dialect for dialect in every}


def _choose_dialect(provider: Provider, dialects: dict[str, Dialect], plugins: Plugins) -> Dialect:
    foreign = plugins.dialects.get(provider.dialect)
    if foreign is not None:
        return foreign
    if provider.dialect == "azure":
        return AzureDialect(provider.api_version, keeps=provider.allow_stateful)
    if provider.dialect == "openai" and not provider.allow_stateful:
        return OpenAIDialect(keeps=False)
    return dialects[provider.dialect]


def _make_keeper(config: Config, services: Services) -> Keeper:
    keeping = {
        provider.name: Keeping(
            hashlib.sha256(provider.base_url.encode()).hexdigest()[:16],
            provider.allow_stateful,
            provider.shared_ids,
        )
        for provider in config.providers
    }
    return Keeper(services.find_id, services.note_ids, keeping, services.clock.now_ms)


def build_stages(
    config: Config,
    services: Services,
    dialects: dict[str, Dialect],
    resolve: Resolve,
    plugins: Plugins = NO_PLUGINS,
) -> list[Stage | WaitingStage]:
    """The built-in stages in their order; plugins are inserted before the stage that they name."""
    providers = {p.name: _choose_dialect(p, dialects, plugins) for p in config.providers}
    network = Network()
    allow = Allow(hide_forbidden_models=config.security.hide_forbidden_models)
    rate, budget = Rate(services.learned), Budget(services.limiter, services.books_open)
    built_in: tuple[Stage | WaitingStage, ...] = (
        Authenticate(services.find_key, services.clock),
        network,
        *((KeepBody(),) if config.logs.keeps_bodies else ()),
        Route(dialects, resolve, find_foreign(dialects, providers), _make_keeper(config, services)),
        allow,
        rate,
        *_make_admission(config, services.limiter, budget, (network, allow, rate, budget)),
    )
    stages: list[Stage | WaitingStage] = []
    for stage in built_in:
        stages += [guard for before, guard in plugins.guards if before == stage.name]
        stages.append(stage)
    return stages


def _make_admission(
    config: Config, limiter: Limiter | WaitingLimiter, budget: Budget, shadowed: tuple[Stage, ...]
) -> tuple[Stage | WaitingStage, Stage | WaitingStage]:
    status = config.security.budget_status
    if isinstance(limiter, WaitingLimiter):
        return WaitingBudget(budget, limiter), WaitingAdmission(
            limiter, budget, budget_status=status, shadowed=shadowed
        )
    return budget, Admission(limiter, budget_status=status, shadowed=shadowed)


def build_mcp_stages(
    config: Config, services: Services, plugins: Plugins = NO_PLUGINS
) -> list[Stage | WaitingStage]:
    """The stages of an MCP request, its head's included: a plugin runs before the same rule as elsewhere."""
    mcp, rate, budget = McpRule(), CallRate(), Budget(services.limiter, services.books_open)
    head: tuple[Stage, ...] = (Authenticate(services.find_key, services.clock), Network())
    limited = _make_admission(config, services.limiter, budget, (mcp, rate, budget))
    stages: list[Stage | WaitingStage] = list(head)
    for name, stage in zip(
        ("route", "allow", "rate", "budget", "admission"), (None, mcp, rate, *limited), strict=True
    ):
        stages += [guard for before, guard in plugins.guards if before == name and guard.needs_body]
        if stage is not None:
            stages.append(stage)
    return stages


def list_fixed(old: Config, new: Config) -> list[tuple[str, object, object]]:
    """What only a restart can change: `old` are the settings of the start."""
    return [
        ("[server] listen", old.server.listen, new.server.listen),
        ("[server] admin_listen", old.server.admin_listen, new.server.admin_listen),
        ("[server] tls", old.server.tls, new.server.tls),
        ("[server] workers", old.server.workers, new.server.workers),
        ("[storage]", old.storage, new.storage),
        ("[shared]", old.shared, new.shared),
        ("[security] pepper", old.security.pepper, new.security.pepper),
        ("[gateway] organization", old.gateway.organization, new.gateway.organization),
    ]
