"""Tokens of an authorization server, by the client credentials grant.

Promises: one token for all exchanges, fetched once however many wait for it, and again shortly before it expires or when
the MCP server refuses it; no secret and no token in a log, an error or a repr.
Sources: RFC 6749, sections 2.3.1, 4.4 and 5; RFC 8707 (`resource`).
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import orjson

from gateway_proxy.config.mcp import OAuth2
from gateway_proxy.config.secrets import Secret
from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.core.tasks import spawn

MAX_ANSWER_BYTES = 65_536
MARGIN_SECONDS = 30.0
DEFAULT_LIFETIME_SECONDS = 3_600.0
FETCH_SECONDS = 15.0


class OAuthSignIn:
    """A sign-in whose header changes. `http` makes the client session, which `close` ends."""

    def __init__(self, settings: OAuth2, resource: str, http: Callable[[], aiohttp.ClientSession]) -> None:
        self._settings = settings
        self._resource = resource
        self._make_http = http
        self._http: aiohttp.ClientSession | None = None
        self._token: Secret | None = None
        self._expires_at = 0.0
        self._fetching: asyncio.Task[UpstreamFailed | None] | None = None

    async def headers(self) -> dict[str, str]:
        """Raises UpstreamFailed (upstream_auth_failed) where no token is to be had."""
        if self._token is None or asyncio.get_running_loop().time() >= self._expires_at:
            if self._fetching is None or self._fetching.done():
                self._fetching = spawn(self._try_fetching(), "mcp oauth")
            error = await asyncio.shield(self._fetching)
            if error is not None:
                raise error
        assert self._token is not None
        return {"Authorization": f"Bearer {self._token.reveal()}"}

    def forget(self, refused: str | None) -> bool:
        """The server refused this header; True if there may be a better one."""
        if self._token is not None and refused == f"Bearer {self._token.reveal()}":
            self._token = None
        return True

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _try_fetching(self) -> UpstreamFailed | None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                await self._fetch()
        except UpstreamFailed as error:
            return error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _no_token(f"the token_url does not answer ({type(error).__name__})")
        return None

    async def _fetch(self) -> None:
        if self._http is None:
            self._http = self._make_http()
        settings = self._settings
        form = {"grant_type": "client_credentials", "resource": self._resource}
        if settings.scopes:
            form["scope"] = " ".join(settings.scopes)
        headers = {"Accept": "application/json"}
        secret = settings.client_secret.reveal()
        if settings.send_secret == "basic":
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": settings.client_id, "client_secret": secret}
        asked_at = asyncio.get_running_loop().time()
        async with self._http.post(
            settings.token_url, data=form, headers=headers, allow_redirects=False
        ) as response:
            body = await response.content.read(MAX_ANSWER_BYTES)
            self._take(response.status, body, asked_at)

    def _take(self, status: int, body: bytes, asked_at: float) -> None:
        try:
            told: Any = orjson.loads(body)
        except orjson.JSONDecodeError:
            told = None
        told = told if isinstance(told, dict) else {}
        if status != 200:
            error = told.get("error")
            raise _no_token(
                f"the token_url answered {status} ({error if isinstance(error, str) else '-'!a:.40})"
            )
        token, kind = told.get("access_token"), told.get("token_type", "bearer")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise _no_token("the token_url answered without a usable access_token")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise _no_token("the token_url gave a token that is no bearer token")
        lives = told.get("expires_in")
        is_number = isinstance(lives, int | float) and not isinstance(lives, bool) and lives > 0
        seconds = float(lives) if is_number and lives is not None else DEFAULT_LIFETIME_SECONDS
        self._token = Secret(token)
        self._expires_at = asked_at + max(seconds - MARGIN_SECONDS, seconds / 2)


def _no_token(detail: str) -> UpstreamFailed:
    return UpstreamFailed(
        "The gateway could not sign in for the MCP server.", code="upstream_auth_failed", detail=detail
    )
