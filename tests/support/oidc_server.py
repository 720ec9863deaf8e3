"""A small but real OpenID provider on loopback: discovery, JWKS, authorization code flow with PKCE, RS256.

It signs in whoever `person` says without asking. `tamper` may change the claims, `sign` the way of signing, so that
tests can play a provider that is wrong or hostile.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

CLIENT_ID = "gateway"
CLIENT_SECRET = "client-secret-canary"
ACCESS_TOKEN = "access-token-canary"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem() -> bytes:
    return _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign_honestly(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, _KEY, "RS256", headers={"kid": "one"})


def sign_with_another_key(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, _OTHER_KEY, "RS256", headers={"kid": "one"})


def sign_with_an_unknown_key(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, _OTHER_KEY, "RS256", headers={"kid": "two"})


def sign_not_at_all(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": "one"})


def sign_with_the_public_key(claims: dict[str, Any]) -> str:
    """HS256 whose secret is what everybody can read; put together by hand, since PyJWT refuses to."""

    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "one"}).encode())
    body = f"{head}.{encode(json.dumps(claims).encode())}"
    return f"{body}.{encode(hmac.digest(public_pem(), body.encode(), 'sha256'))}"


@dataclass
class OidcServer:
    """The running provider. `issuer` is its address."""

    issuer: str = ""
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "subject-1", "email": "ada@example.com", "email_verified": True}
    )
    tamper: Callable[[dict[str, Any]], None] = lambda claims: None
    user_info: dict[str, Any] | None = None
    sign: Callable[[dict[str, Any]], str] = sign_honestly
    discovery: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._discover),
                web.get("/keys", self._keys),
                web.get("/authorize", self._authorize),
                web.post("/token", self._token),
                web.get("/me", self._user_info),
            ]
        )
        return app

    async def _discover(self, request: web.Request) -> web.Response:
        self.requests.append("discovery")
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        if self.user_info is not None:
            document["userinfo_endpoint"] = f"{self.issuer}/me"
        return web.json_response(document | self.discovery)

    async def _keys(self, request: web.Request) -> web.Response:
        self.requests.append("keys")
        key = RSAAlgorithm.to_jwk(_KEY.public_key(), as_dict=True) | {"kid": "one", "use": "sig"}
        return web.json_response({"keys": [key]})

    async def _authorize(self, request: web.Request) -> web.Response:
        query = request.query
        assert query["response_type"] == "code" and query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = dict(query)
        location = f"{query['redirect_uri']}?code={code}&state={query['state']}"
        return web.Response(status=302, headers={"Location": location})

    async def _user_info(self, request: web.Request) -> web.Response:
        self.requests.append("user info")
        assert request.headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"
        return web.json_response(self.user_info)

    async def _token(self, request: web.Request) -> web.Response:
        self.requests.append("token")
        form = await request.post()
        auth = request.headers.get("Authorization", "")
        known = self.codes.pop(str(form.get("code")), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest())
        if (
            known is None
            or auth != encode_basic_auth(CLIENT_ID, CLIENT_SECRET)
            or challenge.rstrip(b"=").decode() != known["code_challenge"]
            or form["redirect_uri"] != known["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": known["nonce"]}
        claims |= self.person
        self.tamper(claims)
        return web.json_response(
            {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": self.sign(claims)}
        )


@asynccontextmanager
async def run_oidc_server() -> AsyncIterator[OidcServer]:
    """A fresh provider."""
    server = OidcServer()
    async with TestServer(server.application()) as running:
        server.issuer = str(running.make_url("/")).rstrip("/")
        yield server
