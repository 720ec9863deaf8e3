"""Who may see the gateway's inside: this machine itself, and whoever has an admin token that may read."""

import ipaddress
import logging
from typing import TYPE_CHECKING

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import Unavailable
from gateway_proxy.proxy.client_ip import parse_ip
from gateway_proxy.proxy.request import ClientRequest
from gateway_proxy.storage.database import StoreError

if TYPE_CHECKING:
    from gateway_proxy.admin.tokens import TokenAdmin
    from gateway_proxy.storage.identity import Identity

_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
_EVERYBODYS = "default"  # whoever runs a gateway for all organizations belongs to this one
log = logging.getLogger("gateway_proxy.access")


def is_local(request: ClientRequest) -> bool:
    """Whether the request comes from this machine itself, not through a proxy on it."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    peer = parse_ip(request.remote or "")
    return isinstance(peer, ipaddress.IPv4Address | ipaddress.IPv6Address) and peer.is_loopback


class OperatorAccess:
    """Tokens count that may read in the gateway's organization; of `default` where it serves all."""

    def __init__(self, identity: "Identity", clock: Clock, pepper: bytes, organization: str) -> None:
        self._identity = identity
        self._clock = clock
        self._pepper = pepper
        self._organization = _EVERYBODYS if organization == "*" else organization
        self._tokens: TokenAdmin | None = None
        self._last: tuple[str, int] | None = None  # the secret that was admitted last, and when (monotonic)
        self.staleness_seconds = 0.0

    async def admits(self, request: ClientRequest) -> bool:
        """Raises Unavailable when the store cannot tell, and could not for `staleness_seconds`."""
        if is_local(request):
            return True
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        secret = secret.strip()
        if kind.lower() != "bearer" or not secret:
            return False
        now_ns = self._clock.monotonic_ns()
        try:
            is_admitted = await self._may_read(secret, request.remote or "")
        except StoreError as error:
            if self._was_admitted(secret, now_ns):
                return True
            log.error("the store cannot say whose admin token this is: %s", error)
            raise Unavailable("The gateway is cut off from its store.", code="store_stale") from error
        if is_admitted:
            self._last = (secret, now_ns)
        elif self._last is not None and self._last[0] == secret:
            self._last = None
        return is_admitted

    def _was_admitted(self, secret: str, now_ns: int) -> bool:
        if self._last is None or self._last[0] != secret:
            return False
        return now_ns - self._last[1] <= self.staleness_seconds * 1e9

    async def _may_read(self, secret: str, ip: str) -> bool:
        if self._tokens is None:
            from gateway_proxy.admin.tokens import TokenAdmin

            self._tokens = TokenAdmin(self._identity, self._clock, self._pepper)
        actor = await self._tokens.authenticate(secret, ip)
        return actor is not None and actor.role != "member" and actor.organization == self._organization
