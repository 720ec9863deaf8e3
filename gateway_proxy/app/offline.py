"""What can be told of keys where no gateway can be asked: from the store and the settings file alone.

Budgets stand as the books have them, a few seconds behind a running gateway; buckets and slots are a gateway's own and
count as untouched.
"""

from typing import TYPE_CHECKING, Any

from gateway_proxy.admin.gateway_view import NoGateway
from gateway_proxy.admin.problem import Unavailable
from gateway_proxy.config import Config, ConfigError
from gateway_proxy.core.clock import Clock

if TYPE_CHECKING:
    from gateway_proxy.app.runtimes import Services
    from gateway_proxy.core.policy import KeyPolicy
    from gateway_proxy.limits.memory import MemoryLimiter
    from gateway_proxy.storage import Store


class StoreView(NoGateway):
    """The `GatewayView` of the command line."""

    def __init__(self, store: "Store", config: Config, clock: Clock) -> None:
        self._store = store
        self._config = config
        self._clock = clock

    async def explain(self, key_id: str, question: dict[str, str]) -> dict[str, Any]:
        # Here: every other command would wait for the whole data plane to be imported.
        from gateway_proxy.app.runtimes import build_stages, make_dialects
        from gateway_proxy.explain import Question, explain, unknown_here
        from gateway_proxy.limits.memory import MemoryLimiter
        from gateway_proxy.plugins.load import load_plugins
        from gateway_proxy.pricing.book import PriceBook
        from gateway_proxy.routing.catalog import build_catalog

        clock, config, limiter = self._clock, self._config, MemoryLimiter(self._clock)
        policy = await self._load(key_id, limiter)
        if policy is None:
            return unknown_here()
        services = make_idle_services(clock, limiter)
        catalog = build_catalog(config, PriceBook.load(clock.now_ms()))
        try:
            plugins = load_plugins(config)
        except ConfigError as error:
            raise Unavailable(str(error)) from None
        stages = build_stages(config, services, make_dialects(), catalog.resolve, plugins)
        return explain(stages, limiter, policy, Question.from_json(question), clock.now_ms())

    async def _load(self, key_id: str, limiter: "MemoryLimiter") -> "KeyPolicy | None":
        """The policy of a key or token; what it and its parent have spent is in the limiter."""
        from gateway_proxy.core.policy import TokenPolicy, compile_policy
        from gateway_proxy.core.store import Batch

        key = await self._store.keys.find(key_id)
        if key is None or self._config.gateway.organization not in ("*", key.organization):
            return None
        parent = None if key.parent_id is None else await self._store.keys.find(key.parent_id)
        jobs = limiter.begin_rebuilds([key] if parent is None else [key, parent])
        sums = await self._store.ledger.append_and_sum("", Batch(), [job.window for job in jobs])
        stats = await self._store.keys.stats([job.key.id for job in jobs])
        for job, nanos in zip(jobs, sums, strict=True):
            job.spend.reserved += stats[job.key.id].reserved_nanos
            limiter.finish_rebuild(job, nanos)
        if key.parent_id is None:
            return compile_policy(key)
        return TokenPolicy(key, None if parent is None else compile_policy(parent))


def make_idle_services(clock: Clock, limiter: "MemoryLimiter") -> "Services":
    """What stages need, where no request is ever served."""
    from gateway_proxy.app.runtimes import Services
    from gateway_proxy.routing.breaker import Breakers
    from gateway_proxy.stages.rate import LearnedOutput

    return Services(
        clock=clock,
        limiter=limiter,
        learned=LearnedOutput(),
        breakers=Breakers(clock),
        find_key=lambda secret, now_ms: None,
        books_open=lambda: True,
        find_id=lambda id: None,
        note_ids=lambda ids, lasting: None,
    )
