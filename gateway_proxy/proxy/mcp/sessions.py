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
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.mcp.errors import INVALID_REQUEST, McpError
from gateway_proxy.mcp.message import Id
from gateway_proxy.mcp.versions import LEGACY
from gateway_proxy.proxy.run import Cut, Run

TTL_MS = 24 * 3_600_000
MAX_ENDED = 100_000
# 39 bytes with two more: base64 without padding, so that an id has one form.
_NONCE, _TIME, _MAC = 11, 6, 20
_BODY = _NONCE + _TIME + 2
_CAPABILITIES: tuple[tuple[str, ...], ...] = (
    ("sampling",), ("elicitation",), ("roots",), ("roots", "listChanged"), ("sampling", "tools"), ("sampling", "context"),
    ("elicitation", "form"), ("elicitation", "url"),
)  # fmt: skip
"""What of a client's capabilities is remembered, a bit each."""


@dataclass(frozen=True, slots=True)
class Session:
    """One, as a request names it."""

    id: str
    version: str
    capabilities: Mapping[str, Any] = field(
        default_factory=dict, compare=False
    )  # what the client can be asked for


class Sessions:
    """`secret` is the same on all gateways of the installation."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self._ended: dict[str, None] = {}  # the ids, the oldest first
        self._runs: dict[str, dict[Id, Run]] = {}  # of the sessions whose calls run here, by the client's ids

    def open(self, key_id: str, server: str, version: str, capabilities: object = None) -> str:
        """The id of a new session of a client that declared this."""
        made_at = self._clock.now_ms().to_bytes(_TIME, "big")
        told = bytes((LEGACY.index(version), _write_capabilities(capabilities)))
        body = secrets.token_bytes(_NONCE) + made_at + told
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
        if self._clock.now_ms() - made_at > TTL_MS or body[-2] >= len(LEGACY):
            raise _unknown()
        return Session(id, LEGACY[body[-2]], _read_capabilities(body[-1]))

    def end(self, session: Session) -> None:
        """Its calls that run here end, and nobody can name it any more."""
        for run in tuple(self._runs.get(session.id, {}).values()):
            run.end(Cut.CANCELLED)
        if len(self._ended) >= MAX_ENDED:
            del self._ended[next(iter(self._ended))]
        self._ended[session.id] = None

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


def _write_capabilities(declared: object) -> int:
    bits = 0
    for number, path in enumerate(_CAPABILITIES):
        found = declared
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict) or found is True:
            bits |= 1 << number
    return bits


def _read_capabilities(bits: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for number, (name, *below) in enumerate(_CAPABILITIES):
        if bits >> number & 1:
            members = told.setdefault(name, {})
            for member in below:
                members[member] = True if member == "listChanged" else {}
    return told


def _unknown() -> McpError:
    return McpError(INVALID_REQUEST, "Session not found: it has ended, or is not this API key's", status=404)
