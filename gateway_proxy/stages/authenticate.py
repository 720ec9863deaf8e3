"""Secret → key. Unknown, garbled and deleted secrets are refused alike."""

from collections.abc import Callable
from typing import ClassVar

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.errors import Unauthenticated
from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.key import Status
from gateway_proxy.core.policy import KeyPolicy

FindKey = Callable[[str, int], KeyPolicy | None]  # (secret, now in Unix ms) → policy; checks the form first

_REFUSALS = {
    Status.EXPIRED: ("key_expired", "This API key has expired."),
    Status.INACTIVE: ("key_inactive", "This API key is deactivated."),
    Status.REVOKED: ("key_revoked", "This API key was revoked."),
}


def check_status(policy: KeyPolicy, now_ms: int) -> None:
    """Raises Unauthenticated unless the key is active now."""
    key = policy.key
    if key.expires_at is None and not key.inactive and key.revoked_at is None:
        return
    status = policy.status(now_ms)
    if status is not Status.ACTIVE:
        code, public = _REFUSALS[status]
        raise Unauthenticated(public, code=code)


class Authenticate:
    name: ClassVar[str] = "authenticate"
    rules: ClassVar[tuple[str, ...]] = ("status",)
    needs_body: ClassVar[bool] = False

    def __init__(self, find_key: FindKey, clock: Clock) -> None:
        self._find_key = find_key
        self._clock = clock

    def check(self, exchange: Exchange) -> None:
        secret = exchange.secret
        exchange.secret = None
        if not secret:
            raise Unauthenticated(
                "No API key was sent. Put it into the header 'Authorization: Bearer <key>'.",
                code="missing_api_key",
            )
        now_ms = self._clock.now_ms()
        policy = self._find_key(secret, now_ms)
        if policy is None:
            raise Unauthenticated("The API key is not valid here.", code="invalid_api_key")
        exchange.policy = policy
        check_status(policy, now_ms)

    def probe(self, exchange: Exchange) -> None:
        """The same for a trial, whose key is known without a secret."""
        assert exchange.policy is not None
        check_status(exchange.policy, self._clock.now_ms())
