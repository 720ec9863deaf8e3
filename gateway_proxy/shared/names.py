"""What the keys on the server are called.

All that belongs to one root key (a key, and the ephemeral tokens made from it) carries one hash tag, so that a script
finds it on one server of a cluster. The epoch stands in each name: what an earlier one left is never read.
"""

from gateway_proxy.core.limiter import Claim, Meter
from gateway_proxy.limits.periods import FAR_MS, Window

EPOCH = "gateway-proxy:epoch"
SEPARATOR = "~"
MINUTE_US = 60_000_000
_KINDS = {Meter.PARALLEL: "p", Meter.REQUESTS: "r", Meter.TOKENS: "o", Meter.NANOS: "b"}


class Names:
    """The names under one epoch."""

    __slots__ = ("_prefix", "epoch", "parts", "pattern")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._prefix = f"gateway-proxy:{epoch}:"
        self.parts = f"{self._prefix}parts"
        self.pattern = f"{self._prefix}{{*}}:[xp]*"  # entries and slots of every root

    def entries(self, root: str) -> str:
        """Field = name of a lease; value = admitted at (ms); '-' or nano-USD charged; key id=amount,…"""
        return f"{self._prefix}{{{root}}}:x"

    def budgets(self, root: str) -> str:
        """The prefix of a root's budget counters, to which a key id is added."""
        return f"{self._prefix}{{{root}}}:b:"

    def budget(self, root: str, key_id: str) -> str:
        return f"{self._prefix}{{{root}}}:b:{key_id}"

    def slots(self, root: str, key_id: str) -> str:
        """Field = name of the lease that holds a slot."""
        return f"{self._prefix}{{{root}}}:p:{key_id}"

    def counter(self, root: str, claim: Claim) -> str:
        """Of a claim: a budget, slots, or a bucket ('level at', in units × µs of a minute and µs)."""
        return f"{self._prefix}{{{root}}}:{_KINDS[claim.meter]}:{claim.key_id}"

    @staticmethod
    def root_of(name: str) -> str:
        """The root key in the name of a key on the server."""
        return name.partition("{")[2].partition("}")[0]


def split_lease(name: str) -> tuple[str, str, int] | None:
    """(part, request id, attempt) of a lease's name; None for one that no row can have."""
    part, _, rest = name.partition(SEPARATOR)
    request_id, _, attempt = rest.partition(SEPARATOR)
    return (part, request_id, int(attempt)) if attempt.isdecimal() else None


def span_of(window: Window) -> str:
    """A period in milliseconds, as the scripts take it."""
    return f"{window.start_ms}:{FAR_MS if window.end_ms is None else window.end_ms}"
