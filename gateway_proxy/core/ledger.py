"""Rows of the books: what an attempt cost (ledger), what a request was (log), what happened (events)."""

from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.core.exchange import NO_USAGE
from gateway_proxy.core.usage import Rates, Usage


@dataclass(slots=True, kw_only=True)
class LedgerRow:
    """One attempt, written once and never changed. Money in nano-USD, times in Unix milliseconds."""

    request_id: str
    attempt: int
    kind: str = "usage"  # usage | compensation
    gateway_id: str
    organization: str
    key_id: str
    parent_id: str | None = None
    owner: str = ""
    provider: str
    model_requested: str
    model_sent: str
    model_reported: str = ""
    operation: str
    admitted_at: int
    settled_at: int = 0
    period: str = ""
    reserved_nanos: int = 0
    charged_nanos: int = 0
    rates: Rates | None = None  # None: the target has no price
    usage_source: str = "none"
    usage: Usage = field(default_factory=lambda: NO_USAGE)  # shared: assign another one, never change it
    outcome: str = "open"
    estimated_nanos: int = (
        0  # spool only: what an attempt without a budget is charged if its end is never seen
    )


@dataclass(slots=True, kw_only=True)
class LogRow:
    """One request, refusals included, with a snapshot of the key's name, owner and metadata."""

    request_id: str
    at: int
    gateway_id: str
    organization: str = ""
    key_id: str = ""
    key_name: str = ""
    owner: str = ""
    metadata_json: str = "{}"
    client_ip: str = ""
    client_request_id: str = ""
    trace_id: str = ""
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
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    latency_ms: int = 0
    first_byte_ms: int | None = None


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
