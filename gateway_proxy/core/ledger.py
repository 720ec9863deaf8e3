"""Rows of the books: what an attempt cost (ledger), what a request was (log), what happened (events)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway_proxy.core.exchange import NO_USAGE
from gateway_proxy.core.usage import Rates, Usage


class LedgerRow(NamedTuple):
    """One attempt, written once and never changed. Money in nano-USD, times in Unix milliseconds.

    The first INTENT_FIELDS are known before dispatch, the others at the end.
    """

    request_id: str
    attempt: int
    gateway_id: str
    organization: str
    key_id: str
    provider: str
    model_requested: str
    model_sent: str
    operation: str
    admitted_at: int
    kind: str = "usage"  # usage | compensation
    parent_id: str | None = None
    owner: str = ""
    period: str = ""
    reserved_nanos: int = 0
    estimated_nanos: int = (
        0  # spool only: what an attempt without a budget is charged if its end is never seen
    )
    rates: Rates | None = None  # None: the target has no price
    settled_at: int = 0
    charged_nanos: int = 0
    usage_source: str = "none"
    outcome: str = "open"
    model_reported: str = ""
    usage: Usage = NO_USAGE  # not to be changed any more


INTENT_FIELDS = 16


class LogRow(NamedTuple):
    """One request, refusals included, with a snapshot of the key's name, owner and metadata."""

    request_id: str
    at: int
    gateway_id: str
    organization: str = ""
    key_id: str = ""
    key_name: str = ""
    owner: str = ""
    metadata_json: str = "{}"
    method: str = "POST"
    path: str = ""
    operation: str = ""
    model: str = ""
    provider: str = ""
    status: int = 0
    error_code: str = ""
    outcome: str = ""
    admitted: bool = False
    stream: bool = False
    attempts: int = 0
    would_deny: str = ""  # the code of the rule that refused it in the shadow only
    client_ip: str = ""
    client_request_id: str = ""
    trace_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    latency_ms: int = 0
    first_byte_ms: int | None = None


class McpLogRow(NamedTuple):
    """One message to an MCP server, refused ones included. `rule` is what decided on it, in the key's revision."""

    request_id: str
    at: int
    gateway_id: str
    organization: str
    key_id: str
    key_name: str
    key_revision: int
    owner: str
    method: str
    server: str
    tool: str  # or the name of a prompt, the URI of a resource
    status: str  # ok | error | denied
    rule: str
    error_code: str = ""
    http_status: int = 200
    duration_ms: int = 0
    cost_nanos: int = 0
    client_ip: str = ""
    arguments: str | None = None  # redacted JSON; None: not kept
    result: str | None = None


class BodyRow(NamedTuple):
    """What was asked and answered in one request, as the log keeps it. None: there was none, or the client did not get it."""

    request_id: str
    at: int
    request_body: str | None
    response_body: str | None


@dataclass(slots=True, kw_only=True)
class EventRow:
    """An event for the outbox; `dedupe` makes it happen once, over restarts too."""

    id: str
    type: str
    at: int
    organization: str
    key_id: str
    dedupe: str
    data: dict[str, Any]
