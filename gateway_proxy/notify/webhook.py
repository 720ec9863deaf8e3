"""Sends events as signed webhooks, by the Standard Webhooks specification
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

Follows no redirect, reads no answer beyond its head, and connects to public addresses only: the very address that is
connected to is checked, so a name that resolves to another one a moment later changes nothing.
"""

import asyncio
import base64
import hashlib
import hmac
from dataclasses import dataclass

import aiohttp
import orjson

from gateway_proxy import __version__
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.ledger import EventRow
from gateway_proxy.notify.endpoints import Endpoint
from gateway_proxy.notify.sockets import is_refused, make_any_socket, make_public_socket

TIMEOUT_SECONDS = 10.0
GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `error` is empty if the event was taken, and holds no secret."""

    status: int | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing any more."""
        return self.status == GONE


def write_body(event: EventRow) -> bytes:
    """The same bytes for each attempt."""
    return orjson.dumps({"type": event.type, "timestamp": format_time(event.at), "data": event.data})


def sign(secret: str, event_id: str, timestamp_seconds: int, body: bytes) -> str:
    """The value of `webhook-signature`. `secret` is `whsec_` + base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{timestamp_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class WebhookSender:
    """Sends to one endpoint. Close it in the end."""

    lease_seconds = 2 * TIMEOUT_SECONDS

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        assert endpoint.secret is not None
        self._endpoint = endpoint
        self._secret = endpoint.secret
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, events: list[EventRow]) -> list[Outcome]:
        """One attempt for each of the events, at once."""
        return await asyncio.gather(*map(self.send_one, events))

    async def send_one(self, event: EventRow) -> Outcome:
        """One attempt. Raises nothing but cancellation."""
        body = write_body(event)
        now_seconds = self._clock.now_ms() // 1000
        headers = {
            "content-type": "application/json",
            "user-agent": f"gateway-proxy/{__version__}",
            "webhook-id": event.id,
            "webhook-timestamp": str(now_seconds),
            "webhook-signature": sign(self._secret.reveal(), event.id, now_seconds, body),
        }
        try:
            async with self._open().post(
                self._endpoint.url.reveal(), data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except TimeoutError:
            return Outcome(None, f"no answer within {TIMEOUT_SECONDS:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(None, _explain(error))
        if 200 <= status < 300:
            return Outcome(status)
        return Outcome(status, f"answered {status}")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                force_close=True,
                use_dns_cache=False,
                socket_factory=make_any_socket if self._endpoint.allow_private else make_public_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _explain(error: Exception) -> str:
    """What went wrong without the URL, in which a receiver may have put a secret."""
    if is_refused(error):
        return "its address is not public; set allow_private = true if that is meant"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"it cannot be connected to ({error.os_error.strerror or type(error).__name__})"
    return f"the connection broke ({type(error).__name__})"
