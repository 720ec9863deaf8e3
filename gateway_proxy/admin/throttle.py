"""Slows down guessing: failed attempts are counted in memory, and forgotten with time.

Each count is a bucket of attempts that fills up again: by address, by account and address together, and a larger one
by account, so that nobody can lock others out from a single address. Bounded: with too many names the one unused for
longest is forgotten.
"""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from gateway_proxy.admin.problem import TooMany
from gateway_proxy.core.clock import Clock

_MOST_NAMES = 10_000
_MAX_NAME_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many failures at once, and one more each time the interval has passed."""

    attempts: int
    interval_seconds: float


PER_ACCOUNT_AND_ADDRESS = Allowance(10, 30.0)
PER_ACCOUNT = Allowance(100, 10.0)
PER_ADDRESS = Allowance(30, 10.0)


class Throttle:
    """Take before an attempt, give back when it succeeded; so attempts at the same time count as well."""

    def __init__(self, clock: Clock, most_names: int = _MOST_NAMES) -> None:
        self._clock = clock
        self._most_names = most_names
        # name → when its bucket is full again, in monotonic nanoseconds
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, account: str, ip: str) -> None:
        """Count an attempt. Raises TooMany, having counted nothing, when there are none left."""
        names = _names(account, ip)
        wait = max((self._wait_seconds(name, allowance) for name, allowance in names), default=0.0)
        if wait > 0:
            raise TooMany("too many failed attempts; wait and try again", math.ceil(wait))
        for name, allowance in names:
            self._move(name, allowance, 1)

    def give_back(self, account: str, ip: str) -> None:
        """The attempt taken last succeeded: the account starts afresh, the address gets its attempt back."""
        for name, allowance in _names(account, ip):
            if name.startswith("address:"):
                self._move(name, allowance, -1)
            else:
                self._full_at.pop(name, None)

    def _wait_seconds(self, name: str, allowance: Allowance) -> float:
        debt = (self._full_at.get(name, 0) - self._clock.monotonic_ns()) / 1e9
        return debt - (allowance.attempts - 1) * allowance.interval_seconds

    def _move(self, name: str, allowance: Allowance, attempts: int) -> None:
        now = self._clock.monotonic_ns()
        full_at = max(self._full_at.pop(name, 0), now) + round(attempts * allowance.interval_seconds * 1e9)
        if full_at > now:
            self._full_at[name] = full_at
        while len(self._full_at) > self._most_names:
            self._full_at.popitem(last=False)


def _names(account: str, ip: str) -> list[tuple[str, Allowance]]:
    names = []
    account, network = account[:_MAX_NAME_CHARACTERS], _network(ip) if ip else ""
    if account:
        names.append((f"account:{account}", PER_ACCOUNT))
        names.append((f"both:{network} {account}", PER_ACCOUNT_AND_ADDRESS))
    if network:
        names.append((f"address:{network}", PER_ADDRESS))
    return names


def _network(ip: str) -> str:
    """Whoever has one IPv6 address usually has its /64."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip[:_MAX_NAME_CHARACTERS]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address.packed, 64), strict=False))
    return ip
