"""One client request and its answer, from socket to ledger: the record that every stage reads and fills."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gateway_proxy.core.body_text import Held
from gateway_proxy.core.catalog import ModelEntry, Target
from gateway_proxy.core.key import IpAddress
from gateway_proxy.core.limiter import Claim, Lease
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.core.route import Bound, Route
from gateway_proxy.core.translation import Translated
from gateway_proxy.core.usage import Rates, Usage, UsageSource

if TYPE_CHECKING:
    from gateway_proxy.core.errors import GatewayError
    from gateway_proxy.core.ledger import LedgerRow


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


_OPEN = Outcome.OPEN
_NONE = UsageSource.NONE
NO_USAGE = Usage()
"""Nothing used. Shared: assign another one, never change it."""


class Attempt:
    """One try at an upstream. Money in nano-USD, times in Unix milliseconds."""

    # Class attributes are the defaults: most attempts change few of them, and none is set twice.
    rates: Rates | None = None
    dispatched: bool = False  # the provider may have received (part of) it
    status: int | None = None  # the upstream's HTTP status
    reported_model: str = ""
    charged_nanos: int = 0
    settled_at: int = 0
    row: "LedgerRow | None" = None  # as its intent says, once that is written

    def __init__(
        self,
        number: int,
        target: Target,
        lease: Lease,
        reserved_nanos: int,
        admitted_at: int,
    ) -> None:
        self.outcome = _OPEN
        self.usage = NO_USAGE
        self.usage_source = _NONE
        self.number = number
        self.target = target
        self.lease = lease
        self.reserved_nanos = reserved_nanos
        self.admitted_at = admitted_at


class Exchange:
    """Filled from left to right by the stages. Plugins see it through `plugins.exchange`, and may write `extras` only."""

    secret: str | None = None  # the client's credential; cleared by authenticate
    body: bytes = b""
    content_type: str = ""
    sent: Held | None = None  # the body for the log, where it is kept
    policy: KeyPolicy | None = None  # by authenticate
    route: Route | None = None  # by route
    model: ModelEntry | None = None  # by route
    targets: tuple[Target, ...] = ()  # by allow: those that the key may use, in order
    expected_tokens: int = 0  # by rate
    bound: Bound | None = None  # by budget
    output_cap: int | None = None  # by budget: per choice, to be written into the upstream request
    translated: dict[tuple[str, str], Translated] | None = None  # by route, for targets of another dialect
    obstacles: "Mapping[str, GatewayError]" = {}  # by route: why a provider cannot be told. Shared: assign another
    lease: Lease | None = None  # by admission
    would_deny: str = ""  # by admission: the code of the rule that is only shadowed and would have refused it
    recalled: bool = False  # the store was asked for the ids that the request names
    error: "GatewayError | None" = None
    is_trial: bool = False  # nobody sent it: a stage that leaves traces must leave none
    status: int = 0  # sent to the client
    first_byte_ns: int = 0  # monotonic, 0 = never
    trace_id: str = ""
    parent_span: str = ""
    span_id: str = ""  # our own, once it was sent upstream
    trace_flags: str = "01"
    trace_state: str = ""
    client_request_id: str = ""

    def __init__(
        self,
        id: str,
        method: str,
        path: str,
        operation: str,
        headers: Mapping[str, str],
        client_ip: IpAddress | None,
        received_at: int,
        started_ns: int,
        dialect: str = "openai",
    ) -> None:
        """`received_at` in Unix milliseconds, `started_ns` monotonic; `dialect` is the client's."""
        self.id = id
        self.method = method
        self.path = path
        self.operation = operation
        self.headers = headers
        self.client_ip = client_ip
        self.received_at = received_at
        self.started_ns = started_ns
        self.dialect = dialect
        self.outcome = _OPEN
        self.claims: list[Claim] = []  # by rate, budget
        self.attempts: list[Attempt] = []  # by the relay
        self.answer_lines = f"x-request-id: {id}\r\n"  # header lines on every answer, refusals too

    def refuse(self, rule: str, error: "GatewayError") -> None:
        """What a stage does where a rule says no. `rule` is one of its `rules`; a trial only notes it."""
        raise error

    @cached_property
    def extras(self) -> dict[str, Any]:
        """Notes of plugins; key = the stage's name."""
        return {}
