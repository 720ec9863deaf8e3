"""One client request and its answer, from socket to ledger: the record that every stage reads and fills."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.key import IpAddress
from gateway_proxy.core.limiter import Claim, Lease
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.route import Bound, Route
from gateway_proxy.core.usage import Rates, Usage, UsageSource

if TYPE_CHECKING:
    from gateway_proxy.core.errors import GatewayError


class Outcome(StrEnum):
    """How an exchange or an attempt ended."""

    OPEN = "open"
    COMPLETED = "completed"
    DENIED = "denied"
    UPSTREAM_FAILED = "upstream_failed"  # the upstream answered an error, broke off or never answered
    CLIENT_GONE = "client_gone"
    REVOKED = "revoked"  # cut while running
    FAILED = "failed"  # a fault of ours
    ORPHANED = "orphaned"  # the process died; settled by replay at the bound


@dataclass(slots=True)
class Attempt:
    """One try at an upstream. Money in nano-USD, times in Unix milliseconds."""

    number: int
    target: Target
    lease: Lease
    reserved_nanos: int
    bound: Bound | None
    admitted_at: int
    rates: Rates | None = None
    dispatched: bool = False  # the provider may have received (part of) it
    status: int | None = None  # the upstream's HTTP status
    reported_model: str = ""
    outcome: Outcome = Outcome.OPEN
    usage: Usage = field(default_factory=Usage)
    usage_source: UsageSource = UsageSource.NONE
    charged_nanos: int = 0
    settled_at: int = 0
    error_code: str = ""


@dataclass(slots=True)
class Exchange:
    """Filled from left to right by the stages; plugins may write `extras` only."""

    id: str
    method: str
    path: str
    operation: str
    headers: Mapping[str, str]
    client_ip: IpAddress | None
    received_at: int  # Unix milliseconds
    started_ns: int  # monotonic
    secret: str | None = None  # the client's credential; cleared by authenticate
    body: bytes = b""
    content_type: str = ""
    policy: KeyPolicy | None = None  # by authenticate
    route: Route | None = None  # by route
    model: ModelEntry | None = None  # by route
    targets: tuple[Target, ...] = ()  # by allow: those that the key may use, in order
    expected_tokens: int = 0  # by rate
    bound: Bound | None = None  # by budget
    output_cap: int | None = None  # by budget: per choice, to be written into the upstream request
    claims: list[Claim] = field(default_factory=list)  # by rate, budget, plugins
    lease: Lease | None = None  # by admission
    attempts: list[Attempt] = field(default_factory=list)  # by the relay
    outcome: Outcome = Outcome.OPEN
    error: "GatewayError | None" = None
    status: int = 0  # sent to the client
    first_byte_ns: int = 0  # monotonic, 0 = never
    trace_id: str = ""
    parent_span: str = ""
    trace_flags: str = "01"
    trace_state: str = ""
    client_request_id: str = ""
    answer_headers: list[tuple[str, str]] = field(default_factory=list)  # on every answer, refusals too
    extras: dict[str, Any] = field(default_factory=dict)
