"""What is approved of the tools of MCP servers, by the organization of the gateways that have them."""

import builtins
from collections.abc import Sequence

import orjson

from gateway_proxy.core.approval import Approval
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.changes import record_change
from gateway_proxy.storage.database import Database

_COLUMNS = (
    "organization", "approved_by", "approved_at", "server", "tool", "fingerprint", "definition",
)  # fmt: skip


class McpToolRows:
    """Times are Unix milliseconds."""

    def __init__(self, db: Database, clock: Clock | None = None) -> None:
        self._db = db
        self._clock = clock or Clock()

    async def list(self, organization: str) -> builtins.list[Approval]:
        """All of them."""
        rows = await self._db.fetch(
            "SELECT server, tool, fingerprint, definition FROM mcp_tools WHERE organization = $1",
            organization,
        )
        return [Approval(*row) for row in rows]

    async def add(self, organization: str, seen: Sequence[Approval], now_ms: int) -> None:
        """Tools that were seen for the first time; what is there already stays."""
        await self._db.insert_many(
            "mcp_tools",
            _COLUMNS,
            [(one.server, one.tool, one.fingerprint, one.definition) for one in seen],
            "ON CONFLICT (organization, server, tool) DO NOTHING",
            (organization, "", now_ms),
        )

    async def approve(
        self, organization: str, approval: Approval, *, home: str, actor: str, ip: str = ""
    ) -> None:
        """Put this definition in the place of the one before, and write it into the change log of `home`."""
        details = orjson.dumps(
            {"server": approval.server, "tool": approval.tool, "fingerprint": approval.fingerprint}
        ).decode()
        async with self._db.transaction() as tx:
            await tx.execute(
                "INSERT INTO mcp_tools (organization, server, tool, fingerprint, definition, approved_by, approved_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7)"
                " ON CONFLICT (organization, server, tool) DO UPDATE SET fingerprint = excluded.fingerprint,"
                " definition = excluded.definition, approved_by = excluded.approved_by, approved_at = excluded.approved_at",
                organization, approval.server, approval.tool, approval.fingerprint, approval.definition, actor,
                self._clock.now_ms(),
            )  # fmt: skip
            await record_change(
                tx, self._clock, "mcp.tool_approved", organization=home, actor=actor, ip=ip,
                subject=f"mcp:{approval.server}", details=details,
            )  # fmt: skip
