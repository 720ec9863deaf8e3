"""Stand-ins in the parts of a gateway that leave it to the first to write the audit log, to notify and to report."""

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from gateway_proxy.app.attachment import Attachment
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.storage.registry import Gateway as GatewayRecord


class QuietLog:
    """Nothing to close, and nothing wrong."""

    error = ""

    def close(self) -> None:
        return


class QuietTrail:
    """In the place of `AuditTrail`."""

    head = ""

    def __init__(self) -> None:
        self.log = QuietLog()

    def wake(self) -> None:
        return

    async def run(self) -> None:
        return

    def describe(self) -> dict[str, Any]:
        return {"written_by": "the first worker"}


class QuietNotifier:
    """In the place of `Notifier`."""

    def configure(self, endpoints: Sequence[Endpoint]) -> None:
        return

    def wake(self) -> None:
        return

    async def run(self) -> None:
        return

    async def close(self) -> None:
        return


class QuietAttachment(Attachment):
    """Learns whether the gateway may serve; the record is the first part's to write."""

    @cached_property
    def _turn(self) -> asyncio.Lock:
        return asyncio.Lock()

    async def list_company(self, own_id: str) -> list[GatewayRecord]:
        """The first part has looked."""
        return []

    async def report(self) -> None:
        async with self._turn:
            own_id = self._describe().id
            known = [record for record in await self._registry.list_gateways() if record.id == own_id]
            if known:
                self._take(known[0])

    async def leave(self, *, stays: bool = False) -> None:
        """The record stays."""
