"""`/metrics`: what is known of a gateway at this moment, in the order of the catalogue of metrics."""

from typing import TYPE_CHECKING

from gateway_proxy import __version__
from gateway_proxy.app.part_metrics import merge
from gateway_proxy.proxy.answers import Answer, BaseAnswer, header_line
from gateway_proxy.proxy.request import ClientRequest
from gateway_proxy.telemetry.catalog import METRICS
from gateway_proxy.telemetry.exposition import Metric, Samples, choose_format, render
from gateway_proxy.telemetry.process import sample_process

if TYPE_CHECKING:
    from gateway_proxy.app.gateway import Gateway
    from gateway_proxy.app.site_process import SiteProcess

_HEALTH_STATES = ("up", "half_open", "down")


def list_families(samples: dict[str, Samples]) -> list[tuple[Metric, Samples]]:
    """Every metric with its samples, in the order of the catalogue."""
    return [(metric, samples.get(metric.name, {})) for metric in METRICS]


class Metrics:
    """Of one gateway; without a site, nothing is said of the admin process."""

    def __init__(self, gateway: "Gateway", site: "SiteProcess | None") -> None:
        self._gateway = gateway
        self._site = site
        gateway.part.on_samples = self.sample

    async def answer(self, request: ClientRequest) -> BaseAnswer:
        """The page of all processes of the gateway, in the format that is asked for."""
        samples = merge(await self._gateway.part.gather_samples())
        content_type = choose_format(request.headers.get("Accept", ""))
        lines = f"{header_line('content-type', content_type)}cache-control: no-store\r\n"
        return Answer(200, lines, render(list_families(samples), content_type))

    def sample(self) -> dict[str, Samples]:
        """What this process knows, by metric."""
        gateway = self._gateway
        samples: dict[str, Samples] = {
            **gateway.pulse.tally.sample(),
            **sample_process(gateway.started_at),
            "gateway_proxy_event_loop_lag_seconds": {(): gateway.pulse.lag},
        }
        for part in (
            self._sample_gateway(),
            self._sample_books(),
            self._sample_providers(),
            self._gateway.limits.sample(),
        ):
            samples.update({f"gateway_proxy_{name}": values for name, values in part.items()})
        return samples

    def _sample_gateway(self) -> dict[str, Samples]:
        gateway = self._gateway
        samples: dict[str, Samples] = {
            "build_info": {(__version__,): 1},
            "ready": {(): int(gateway.describe_readiness()[0])},
            "requests_in_flight": {(): len(gateway.plane.sweeper.runs)},
            "keys": {(): len(gateway.directory)},
            "store_lag_seconds": {(): round(gateway.follower.staleness_seconds(), 6)},
            "audit_log_up": {(): int(not gateway.audit.log.error)},
            "config_revision": {(): gateway.revision},
            "config_reload_ok": {(): int(not gateway.reload_error)},
            "config_applied_timestamp_seconds": {(): gateway.applied_at / 1000},
        }
        if self._site is not None and (serves := self._site.serves) is not None:
            samples["admin_process_up"] = {(): int(serves)}
        return samples

    def _sample_books(self) -> dict[str, Samples]:
        gateway = self._gateway
        writer, spool = gateway.writer, gateway.spool
        return {
            "spool_up": {(): int(writer.healthy)},
            "spool_bytes": {(): spool.size_bytes},
            "spool_failures_total": {(): spool.failures},
            "unsent_rows": {(table,): rows for table, rows in writer.unsent.items()},
            "set_aside_rows_total": {(): writer.set_aside_rows},
            "dropped_log_rows_total": {
                ("refusals",): gateway.books.unlogged_refusals,
                ("store_away",): writer.dropped_logs,
                ("bodies",): gateway.bodies.dropped,
            },
            "store_up": {(): int(writer.store_healthy)},
        }

    def _sample_providers(self) -> dict[str, Samples]:
        gateway = self._gateway
        breakers = gateway.services.breakers
        health: dict[tuple[str, ...], int] = {}
        connections: dict[tuple[str, ...], int] = {}
        waiting: dict[tuple[str, ...], int] = {}
        for name, link in gateway.runtime.links.items():
            now = breakers.health(name)
            for state in _HEALTH_STATES:
                health[name, state] = int(state == now)
            stats = link.pool.stats()
            connections[name, "idle"] = stats.idle
            connections[name, "in_use"] = stats.in_use
            connections[name, "opening"] = stats.open - stats.idle - stats.in_use
            waiting[(name,)] = stats.waiting
        return {"provider_health": health, "provider_connections": connections, "provider_waiting": waiting}
