"""The row of the MCP log that one message leaves.

Whatever would reach a server is noted, refused or not; what the gateway answers itself (lists, `initialize`, `ping`) stands in
the request log only.
"""

from typing import Any, Protocol

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import McpLogRow
from gateway_proxy.core.redaction import redact
from gateway_proxy.mcp.methods import METHODS
from gateway_proxy.mcp.names import split_name, split_uri
from gateway_proxy.mcp.verdict import UNKNOWN, name_rule
from gateway_proxy.proxy.mcp.asked import Asked, Reply
from gateway_proxy.proxy.mcp.changes import LISTEN

_MAX_NAME = 512


class McpBooks(Protocol):
    """Where rows go."""

    @property
    def keeps_bodies(self) -> bool: ...
    def note(self, row: McpLogRow, /) -> None: ...


class Notes:
    """One per gateway."""

    def __init__(self, books: McpBooks, gateway_id: str, clock: Clock) -> None:
        self._books = books
        self._gateway_id = gateway_id
        self._clock = clock

    def take(self, asked: Asked, reply: Reply) -> None:
        """Note what became of this message."""
        method = METHODS.get(asked.message.method)
        if method is None or not method.names or method.name == LISTEN:
            return
        exchange, key = asked.exchange, asked.policy.key
        params = asked.message.params or {}
        server, name = _place(asked, params)
        result, status = _read(reply)
        error = exchange.error
        if exchange.lease is None and error is not None and error.code != "mcp_invalid":
            status = "denied"
        bodies = self._books.keeps_bodies
        now_ns = self._clock.monotonic_ns()
        self._books.note(
            McpLogRow(
                request_id=exchange.id, at=exchange.received_at, gateway_id=self._gateway_id,
                organization=key.organization, key_id=key.id, key_name=key.name, key_revision=key.revision,
                owner=key.owner, method=method.name, server=server, tool=name[:_MAX_NAME], status=status,
                rule=_rule(asked, method.name, server, name), error_code=_error_code(asked, reply),
                http_status=reply.status, duration_ms=(now_ns - exchange.started_ns) // 1_000_000,
                cost_nanos=sum(attempt.charged_nanos for attempt in exchange.attempts),
                client_ip="" if exchange.client_ip is None else str(exchange.client_ip),
                arguments=redact(_arguments(params)) if bodies else None,
                result=redact(result) if bodies and result is not None else None,
            )
        )  # fmt: skip


def _place(asked: Asked, params: dict[str, Any]) -> tuple[str, str]:
    """(server, its own name), as far as they can be told."""
    reference = params.get("ref")
    named = reference if isinstance(reference, dict) else params
    name, uri = named.get("name"), named.get("uri")
    told, split = (name, split_name) if isinstance(name, str) else (uri, split_uri)
    told = told if isinstance(told, str) else ""
    if asked.server:
        return asked.server, told
    return split(told) or ("", told)


def _rule(asked: Asked, method: str, server: str, name: str) -> str:
    """A limit where one refused, else the rule of the key that let it pass or did not."""
    error = asked.exchange.error
    if asked.exchange.lease is None and error is not None and not error.code.startswith("mcp_"):
        return error.code
    if server not in asked.revision.links:
        return UNKNOWN
    if method == "tools/call":
        offer = asked.revision.discovery.catalogue.get(server)
        if offer is None or name not in offer.things("tools"):
            return UNKNOWN
        return name_rule(asked.policy, server, name)
    return name_rule(asked.policy, server, None)


def _read(reply: Reply) -> tuple[Any, str]:
    """What came back, and whether it is an error."""
    value = reply.value or {}
    if "error" in value:
        return value["error"], "error"
    result = value.get("result")
    failed = isinstance(result, dict) and result.get("isError") is True
    return result, "error" if failed else "ok"


def _error_code(asked: Asked, reply: Reply) -> str:
    if asked.exchange.error is not None:
        return asked.exchange.error.code
    error = (reply.value or {}).get("error")
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _arguments(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in ("_meta", "name")}
