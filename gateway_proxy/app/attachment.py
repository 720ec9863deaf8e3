"""This gateway's place among those attached to the store: it reports what it is and has, and learns whether it may serve.

Whether it is too long cut off to serve is decided here too. What follows from that is the data plane's.
"""

import asyncio
import logging
from collections.abc import Callable

from gateway_proxy.config import Config
from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.storage.database import StoreError
from gateway_proxy.storage.registry import LIVE_MS, Registry
from gateway_proxy.storage.registry import Gateway as GatewayRecord

log = logging.getLogger("gateway_proxy.gateway")

HEARTBEAT_SECONDS = 5.0


class Attachment:
    """`describe` gives the record to report, `synced_ns` when (monotonic) the store was last heard of.

    `on_revoked` is called once whenever the gateway loses its right to serve.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        describe: Callable[[], GatewayRecord],
        synced_ns: Callable[[], int],
        on_revoked: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._describe = describe
        self._synced_ns = synced_ns
        self._on_revoked = on_revoked
        self._limits_ns = (0, 0)
        self.revoked_at: int | None = None

    def configure(self, config: Config) -> None:
        """Take the bounds on staleness from the settings."""
        bounds = (config.gateway.max_staleness_seconds, config.gateway.strict_staleness_seconds)
        self._limits_ns = (round(bounds[0] * 1e9), round(bounds[1] * 1e9))

    def is_barred(self, strict: bool) -> bool:
        """Whether this gateway may serve nobody, or nobody with a `strict` key."""
        if self.revoked_at is not None:
            return True
        return self._clock.monotonic_ns() - self._synced_ns() > self._limits_ns[strict]

    def explain(self) -> Unavailable:
        """What clients are told while it is barred."""
        if self.revoked_at is not None:
            return Unavailable(
                "This gateway was revoked and serves nobody until an administrator allows it again.",
                code="store_stale",
                retry_after_ms=5000,
                gateway={"reason": "gateway_revoked"},
            )
        return Unavailable(
            "The gateway has been cut off from its store for too long.",
            code="store_stale",
            retry_after_ms=5000,
        )

    def problems(self) -> list[str]:
        """What readiness has to say."""
        if self.revoked_at is not None:
            return ["revoked by an administrator: all requests are refused"]
        if self.is_barred(strict=False):
            return ["cut off from the store for too long: all keys are refused"]
        return []

    async def list_company(self, own_id: str) -> list[GatewayRecord]:
        """The other gateways that are live on the store. Raises StoreError."""
        live_since = self._clock.now_ms() - LIVE_MS
        everybody = await self._registry.list_gateways()
        return [other for other in everybody if other.id != own_id and other.last_seen_at > live_since]

    async def report(self) -> None:
        """Say what this gateway is and has. Raises StoreError."""
        self._take(await self._registry.heartbeat(self._describe()))

    def _take(self, known: GatewayRecord) -> None:
        if known.revoked_at is not None and self.revoked_at is None:
            log.warning("this gateway was revoked: it refuses all requests until it is allowed again")
            self.revoked_at = known.revoked_at
            self._on_revoked()
        elif known.revoked_at is None and self.revoked_at is not None:
            log.warning("this gateway is allowed to serve again")
        self.revoked_at = known.revoked_at

    async def reach_all(self, seq: int, organization: str) -> None:
        """Return when every attached gateway of the organization has applied the change, or after a second."""
        from gateway_proxy.admin.gateways import wait_until_live

        try:
            await wait_until_live(self._registry, self._clock, organization, seq)
        except StoreError as error:
            log.error("the store cannot say which gateways have a change: %s", error)

    async def run(self) -> None:
        """Report again and again, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self.report()
            except StoreError as error:
                log.error("the store did not take the heartbeat: %s", error)

    async def leave(self, *, stays: bool = False) -> None:
        """The last report, with the last head of the audit log; the record goes, unless it says that this one is revoked,
        or other processes of the gateway serve on.

        Raises StoreError.
        """
        await self.report()
        if self.revoked_at is None and not stays:
            await self._registry.forget_gateway(self._describe().id)
