"""Sessions of clients of the legacy era: which key may name one, and which of its calls run here.

Promises: a session id proves by itself which key and which endpoint it was made for, so any gateway of the installation
takes it, after a restart too; nobody can make one up, and another key's is unknown. A session that was ended stays ended
on the gateway that heard of it; everywhere it ends after a day. Source: MCP 2025-11-25, basic/transports (Session
Management).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from gateway_proxy.core.clock import Clock
from gateway_proxy.mcp.errors import INVALID_REQUEST, McpError
from gateway_proxy.mcp.message import Id
from gateway_proxy.mcp.versions import LEGACY
from gateway_proxy.proxy.run import Cut, Run

TTL_MS = 24 * 3_600_000
MAX_ENDED = 100_000
_NONCE, _TIME, _MAC = (
    12,
    6,
    20,
)  # 39 bytes with the revision: base64 without padding, so that an id has one form
_BODY = _NONCE + _TIME + 1


@dataclass(frozen=True, slots=True)
class Session:
    """One, as a request names it."""

    id: str
    version: str


class Sessions:
    """`secret` is the same on all gateways of the installation."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._ended: dict[str, int] = {}  # id → when it would have ended by itself
        self._runs: dict[str, dict[Id, Run]] = {}  # of the sessions whose calls run here, by the client's ids

    def open(self, key_id: str, server: str, version: str) -> str:
        """The id of a new session."""
        made_at = self._clock.now_ms().to_bytes(_TIME, "big")
        body = secrets.token_bytes(_NONCE) + made_at + bytes((LEGACY.index(version),))
        return base64.urlsafe_b64encode(body + self._sign(body, key_id, server)).decode()

    def find(self, id: str | None, key_id: str, server: str) -> Session:
        """Raises McpError: 400 without an id, 404 for one that is not (or no longer) this key's at this endpoint."""
        if id is None:
            raise McpError(INVALID_REQUEST, "Bad request: the Mcp-Session-Id header is missing", status=400)
        try:
            raw = base64.b64decode(id.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _unknown() from None
        body, mac = raw[:_BODY], raw[_BODY:]
        if not hmac.compare_digest(mac, self._sign(body, key_id, server)) or id in self._ended:
            raise _unknown()
        made_at = int.from_bytes(body[_NONCE : _NONCE + _TIME], "big")
        if self._clock.now_ms() - made_at > TTL_MS or body[-1] >= len(LEGACY):
            raise _unknown()
        return Session(id, LEGACY[body[-1]])

    def end(self, session: Session) -> None:
        """Its calls that run here end, and nobody can name it any more."""
        for run in tuple(self._runs.get(session.id, {}).values()):
            run.end(Cut.CANCELLED)
        now = self._clock.now_ms()
        if len(self._ended) >= MAX_ENDED:
            self._ended = {id: at for id, at in self._ended.items() if at > now}
        self._ended[session.id] = now + TTL_MS

    def begin(self, session: Session, id: Id, run: Run) -> None:
        """From here on the client can cancel this call."""
        self._runs.setdefault(session.id, {})[id] = run

    def finish(self, session: Session, id: Id, run: Run) -> None:
        runs = self._runs.get(session.id, {})
        if runs.get(id) is run:
            del runs[id]
            if not runs:
                del self._runs[session.id]

    def cancel(self, session: Session, id: object) -> None:
        """Ends the call of this id, if it runs here."""
        if isinstance(id, str | int) and (run := self._runs.get(session.id, {}).get(id)) is not None:
            run.end(Cut.CANCELLED)

    def _sign(self, body: bytes, key_id: str, server: str) -> bytes:
        told = body + f"{key_id}\n{server}".encode()
        return hmac.new(self._secret, told, hashlib.sha256).digest()[:_MAC]


def _unknown() -> McpError:
    return McpError(INVALID_REQUEST, "Session not found: it has ended, or is not this API key's", status=404)
