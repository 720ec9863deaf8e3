"""Sign-in by OpenID Connect: authorization code flow with PKCE (RFC 7636), state and nonce, for members only.

What must be remembered between leaving and coming back is in a signed cookie of the visitor's own browser, so that
nobody can finish a sign-in that another began. A state works once.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gateway_proxy.admin.documents import normalise_email
from gateway_proxy.admin.links import SignedIn
from gateway_proxy.admin.oidc_provider import OidcFailed, OidcProvider
from gateway_proxy.admin.problem import NotAllowed
from gateway_proxy.admin.sessions import Sessions
from gateway_proxy.core.clock import Clock
from gateway_proxy.storage.identity import Identity
from gateway_proxy.storage.identity_change import Account

FLOW_SECONDS = 600
CALLBACK_PATH = "/oidc/callback"  # below the dashboard
_MOST_USED_STATES = 10_000
_MAX_NEXT = 1000


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the visitor, and the cookie they must bring back."""

    url: str
    cookie: str = field(repr=False)


class OidcSignIn:
    """Raises OidcFailed where the provider or the visitor's browser is not right, NotAllowed for strangers."""

    def __init__(
        self,
        provider: OidcProvider,
        identity: Identity,
        sessions: Sessions,
        clock: Clock,
        *,
        pepper: bytes,
        dashboard_url: str,
        organization: str | None,
    ) -> None:
        self._provider = provider
        self._identity = identity
        self._sessions = sessions
        self._clock = clock
        self._redirect_uri = dashboard_url + CALLBACK_PATH
        self._organization = organization
        self._key = hmac.digest(pepper, b"gateway-proxy openid connect flow", "sha256")
        self._used: OrderedDict[str, int] = OrderedDict()

    async def begin(self, next_path: str = "") -> Begun:
        """Start a sign-in; afterwards the visitor goes on to `next_path`."""
        endpoints = await self._provider.discover()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = _encode(hashlib.sha256(verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in endpoints.authorization else "?"
        begun_at = self._clock.now_ms()
        flow = json.dumps([state, nonce, verifier, begun_at, next_path[:_MAX_NEXT]]).encode()
        return Begun(f"{endpoints.authorization}{separator}{urlencode(query)}", self._seal(flow))

    async def finish(
        self, cookie: str, query: Mapping[str, str], ip: str, user_agent: str
    ) -> tuple[SignedIn, str]:
        """The member who came back with this query, and where they wanted to go."""
        state, nonce, verifier, next_path = self._open(cookie)
        if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
            raise OidcFailed("this sign-in was begun in another window or has expired; start again")
        self._use(state)
        if query.get("iss", self._provider.issuer).rstrip("/") != self._provider.issuer:  # RFC 9207
            raise OidcFailed("the answer came from another OpenID provider")
        code = query.get("code", "")
        if not code or "error" in query:
            raise OidcFailed("the OpenID provider did not sign you in; try again, or sign in by password")
        tokens = await self._provider.redeem(code, verifier, self._redirect_uri)
        claims = await self._provider.check(tokens.id, nonce)
        issuer = self._provider.issuer
        known = self._mine(await self._identity.find_by_subject(issuer, claims.subject))
        if not known:
            email = claims.email or await self._provider.find_email(tokens.access, claims.subject)
            if not email:
                raise NotAllowed(
                    "the OpenID provider has not verified your e-mail address", code="not_a_member"
                )
            known = self._mine(await self._identity.find_accounts(normalise_email(email)))
        if len(known) != 1:
            raise NotAllowed(
                "you are a member of several organizations here; sign in by password"
                if known
                else "you are not a member here; ask an owner or admin to invite your e-mail address",
                code="not_a_member",
            )
        async with self._identity.change() as change:
            account = await change.find_account(known[0].id)
            if account is None or not await change.link_identity(issuer, claims.subject, account.id):
                raise NotAllowed(
                    "this member signs in with another account of the provider", code="not_a_member"
                )
            return SignedIn(*await self._sessions.open(change, account, ip, user_agent, "oidc")), next_path

    def _mine(self, accounts: list[Account]) -> list[Account]:
        return [a for a in accounts if self._organization in (None, a.organization)]

    def _use(self, state: str) -> None:
        now = self._clock.now_ms()
        while self._used and (
            next(iter(self._used.values())) <= now - FLOW_SECONDS * 1000
            or len(self._used) >= _MOST_USED_STATES
        ):
            self._used.popitem(last=False)
        if state in self._used:
            raise OidcFailed("this sign-in was finished already; start again")
        self._used[state] = now

    def _seal(self, flow: bytes) -> str:
        return f"{_encode(flow)}.{_encode(hmac.digest(self._key, flow, 'sha256'))}"

    def _open(self, cookie: str) -> tuple[str, str, str, str]:
        """State, nonce, verifier and next path of a cookie of ours that is not too old."""
        body, _, seal = cookie.partition(".")
        try:
            flow = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            expected = _encode(hmac.digest(self._key, flow, "sha256"))
            if not hmac.compare_digest(seal.encode(), expected.encode()):
                raise ValueError
            state, nonce, verifier, begun_at, next_path = json.loads(flow)
            if not 0 <= self._clock.now_ms() - begun_at <= FLOW_SECONDS * 1000:
                raise ValueError
        except (ValueError, TypeError):
            raise OidcFailed("this sign-in was begun in another window or has expired; start again") from None
        return state, nonce, verifier, next_path


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
