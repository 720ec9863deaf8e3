"""All counters of one key in one object, so that a request finds them by one look-up. When to count is not decided here."""

from gateway_proxy.core.limiter import BucketRule, Meter
from gateway_proxy.limits.arithmetic import Bucket
from gateway_proxy.limits.budget import Account

_REQUESTS = Meter.REQUESTS


class KeyCounters:
    """Of one key: the buckets and the account that it has, and the slots in use."""

    __slots__ = ("account", "requests", "slots", "tokens")

    def __init__(self) -> None:
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.slots = 0
        self.account: Account | None = None

    def bucket(self, meter: Meter, rule: BucketRule, now_ns: int) -> Bucket:
        """Under this rule from now on; made where it is missing."""
        bucket = self.requests if meter is _REQUESTS else self.tokens
        if bucket is None:
            bucket = Bucket(rule, now_ns)
            if meter is _REQUESTS:
                self.requests = bucket
            else:
                self.tokens = bucket
        elif bucket.rule is not rule:
            bucket.change(rule, now_ns)
        return bucket

    def free(self, slots: int) -> None:
        """Give slots back; those of a key that was forgotten meanwhile are given back to nobody."""
        left = self.slots - slots
        self.slots = left if left > 0 else 0

    def sweep(self, now_ns: int) -> bool:
        """Drop the buckets that are full again; whether anything is left."""
        if self.requests is not None and self.requests.is_full(now_ns):
            self.requests = None
        if self.tokens is not None and self.tokens.is_full(now_ns):
            self.tokens = None
        return bool(self.slots or self.requests or self.tokens or self.account)
