"""An OpenID provider, as a client meets it: discovery, keys, exchange of a code, and the check of an ID token.

OpenID Connect Core 1.0 section 3.1.3 and Discovery 1.0. Only asymmetric signatures count: with a symmetric one, or
none, whoever knows a public value could sign. Members and sessions belong to `oidc`.
"""

import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import jwt
from aiohttp import ClientTimeout, encode_basic_auth

from gateway_proxy.admin.problem import Problem
from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.clock import Clock

ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_TIMEOUT = ClientTimeout(total=10)
_MAX_ANSWER_BYTES = 1 << 20
_KEEP_NS = 3600 * 1_000_000_000
_REFRESH_NS = 60 * 1_000_000_000
_LEEWAY_SECONDS = 60
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OidcFailed(Problem):
    """The sign-in by the provider did not succeed; nothing of what it sent is repeated."""

    status = 403
    code = "oidc_failed"
    title = "Sign-in failed"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What discovery says."""

    issuer: str
    authorization: str
    token: str
    keys: str
    user_info: str  # "" where there is none
    basic_auth: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a code is worth. `access` is "" where none was given."""

    id: str = field(repr=False)
    access: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a checked ID token says of a person. `email` is empty unless the provider has verified it."""

    subject: str
    email: str


class OidcProvider:
    """One issuer and our client there. Every method raises OidcFailed."""

    def __init__(self, issuer: str, client_id: str, client_secret: Secret | None, clock: Clock) -> None:
        self.issuer = issuer
        self.client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._endpoints: tuple[int, Endpoints] | None = None
        self._keys: tuple[int, jwt.PyJWKSet] | None = None

    async def discover(self) -> Endpoints:
        """Where the provider is asked; kept for an hour."""
        now = self._clock.monotonic_ns()
        if self._endpoints is not None and now - self._endpoints[0] < _KEEP_NS:
            return self._endpoints[1]
        document = await self._fetch("GET", f"{self.issuer}/.well-known/openid-configuration")
        issuer = document.get("issuer")
        if not isinstance(issuer, str) or issuer.rstrip("/") != self.issuer:
            raise OidcFailed("the OpenID provider names another issuer than [dashboard] oidc does")
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        endpoints = Endpoints(
            issuer=issuer,
            authorization=self._endpoint(document, "authorization_endpoint"),
            token=self._endpoint(document, "token_endpoint"),
            keys=self._endpoint(document, "jwks_uri"),
            user_info=self._endpoint(document, "userinfo_endpoint")
            if "userinfo_endpoint" in document
            else "",
            basic_auth="client_secret_basic" in methods,
        )
        self._endpoints = (now, endpoints)
        return endpoints

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> Tokens:
        """The tokens for an authorization code (RFC 6749 section 4.1.3, RFC 7636)."""
        endpoints = await self.discover()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        auth = ""
        secret = self._client_secret
        if secret is not None and endpoints.basic_auth:
            # RFC 6749 section 2.3.1: both are form-encoded before they become user name and password.
            auth = encode_basic_auth(quote(self.client_id, safe=""), quote(secret.reveal(), safe=""))
        else:
            form["client_id"] = self.client_id
            if secret is not None:
                form["client_secret"] = secret.reveal()
        answer = await self._fetch("POST", endpoints.token, form, auth)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            raise OidcFailed("the OpenID provider sent no ID token; allow the scope openid for this client")
        return Tokens(token, access if isinstance(access, str) else "")

    async def check(self, token: str, nonce: str) -> Claims:
        """What the ID token says, once signature, issuer, audience, times and nonce are right."""
        endpoints = await self.discover()
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in ALGORITHMS:
                raise OidcFailed("the ID token is not signed with an asymmetric algorithm")
            key = await self._find_key(header.get("kid"), endpoints.keys)
            claims = jwt.decode(
                token, key.key, algorithms=[algorithm], audience=self.client_id, issuer=endpoints.issuer,
                leeway=_LEEWAY_SECONDS, options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )  # fmt: skip
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise OidcFailed(f"the ID token is not valid ({type(error).__name__})") from None
        sent_nonce, subject = claims.get("nonce"), claims.get("sub")
        if not isinstance(sent_nonce, str) or not hmac.compare_digest(sent_nonce.encode(), nonce.encode()):
            raise OidcFailed("the ID token belongs to another sign-in")
        if claims.get("azp", self.client_id) != self.client_id:
            raise OidcFailed("the ID token was made for another client")
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise OidcFailed("the ID token names no subject")
        return Claims(subject, _find_email(claims))

    async def find_email(self, access_token: str, subject: str) -> str:
        """The verified address by the UserInfo endpoint, "" if it knows none: many providers keep it out of the ID
        token (OpenID Connect Core 1.0, sections 5.3 and 5.4)."""
        url = (await self.discover()).user_info
        if not (url and access_token and access_token.isascii() and access_token.isprintable()):
            return ""
        claims = await self._fetch("GET", url, auth=f"Bearer {access_token}")
        # Section 5.3.2: another subject means that the token was exchanged for somebody else's.
        return _find_email(claims) if claims.get("sub") == subject else ""

    async def _find_key(self, kid: object, url: str) -> jwt.PyJWK:
        """The provider's key of this id. Asks anew for one that is unknown, once a minute at most."""
        now = self._clock.monotonic_ns()
        for wanted_age in (_KEEP_NS, _REFRESH_NS):
            if self._keys is None or now - self._keys[0] >= wanted_age:
                self._keys = (now, jwt.PyJWKSet.from_dict(await self._fetch("GET", url)))
            # A symmetric key has no business here: with one, whoever reads this list could sign.
            keys = [
                key
                for key in self._keys[1].keys
                if key.public_key_use in (None, "sig") and key.key_type != "oct"
            ]
            named = [key for key in keys if key.key_id == kid] if kid is not None else keys
            if len(named) == 1:
                return named[0]
        raise OidcFailed("the ID token is signed with a key that the OpenID provider does not publish")

    def _endpoint(self, document: dict[str, Any], name: str) -> str:
        url = document.get(name)
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        own = urlsplit(self.issuer)
        is_local = own.scheme == "http" and own.hostname in _LOOPBACK and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
            raise OidcFailed(f"the OpenID provider's {name} is no https URL")
        return str(url)

    async def _fetch(
        self, method: str, url: str, form: dict[str, str] | None = None, auth: str = ""
    ) -> dict[str, Any]:
        """The JSON object there. Redirects are not followed: none of these addresses moves."""
        where = urlsplit(url).hostname
        headers = {"accept": "application/json"} | ({"authorization": auth} if auth else {})
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request(method, url, data=form, allow_redirects=False, headers=headers) as response,
            ):
                body = b""
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise ValueError("too long")
                status = response.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise OidcFailed(
                f"the OpenID provider at {where} does not answer ({type(error).__name__})"
            ) from None
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if status != 200 or not isinstance(answer, dict):
            raise OidcFailed(f"the OpenID provider at {where} refused the request (status {status})")
        return answer


def _find_email(claims: dict[str, Any]) -> str:
    email = claims.get("email")
    return email if isinstance(email, str) and claims.get("email_verified") is True else ""
