"""Sessions: signing in, staying signed in, signing out.

A session is 32 random bytes in a cookie, and their SHA-256 in the store. It ends when unused for long, when it is
old, when it is signed out, and with its member. Cookies themselves belong to `web_auth`.
"""

import hashlib
import logging
import secrets
from typing import Any

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.documents import normalise_email, refuse
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.problem import NotAllowed, NotFound, SignInNeeded
from gateway_proxy.admin.throttle import Throttle
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.storage.identity import Identity, Session
from gateway_proxy.storage.identity_change import Account, IdentityChange

log = logging.getLogger("gateway_proxy.admin")

IDLE_MS = 12 * 3_600_000
ABSOLUTE_MS = 7 * 86_400_000
_TOUCH_MS = 60_000
_MAX_USER_AGENT = 200
_MAX_IP = 64
_WRONG = "the e-mail address or the password is wrong"


class Sessions:
    """Sign-ins of members."""

    def __init__(self, identity: Identity, passwords: Passwords, throttle: Throttle, clock: Clock) -> None:
        self._identity = identity
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    async def sign_in(
        self, email: str, password: str, ip: str, user_agent: str, organization: str = ""
    ) -> tuple[Actor, str]:
        """The member and the value of their cookie.

        Raises SignInNeeded when either is wrong, TooMany, and Invalid (path `organization`) when the password opens
        several organizations and none is named.
        """
        email = normalise_email(email)[:254]
        self._throttle.take(email, ip)
        accounts = await self._identity.find_accounts(email)
        if organization:
            accounts = [account for account in accounts if account.organization == organization]
        candidates = [account for account in accounts if account.password_hash]
        matching = [a for a in candidates if await self._passwords.check(a.password_hash, password)]
        if not candidates:
            await self._passwords.check(None, password)
        if not matching:
            log.info("a sign-in from %s was refused", ip or "an unknown address")
            raise SignInNeeded(_WRONG, code="wrong_credentials")
        self._throttle.give_back(email, ip)
        if len(matching) > 1:
            names = ", ".join(account.organization for account in matching)
            raise refuse("organization", f"is needed, since you are a member of several: {names}")
        account = matching[0]
        stored = account.password_hash or ""
        renewed = await self._passwords.hash(password) if self._passwords.is_outdated(stored) else ""
        async with self._identity.change() as change:
            if renewed:
                await change.replace_hash(account.id, stored, renewed)
            current = await change.find_account(account.id)
            if current is None or current.password_hash not in (stored, renewed):
                raise SignInNeeded(_WRONG, code="wrong_credentials")  # changed while we looked
            return await self.open(change, current, ip, user_agent, "password")

    async def open(
        self, change: IdentityChange, account: Account, ip: str, user_agent: str, method: str
    ) -> tuple[Actor, str]:
        """A session for a member who has proved who they are, in the transaction that used the proof."""
        cookie = secrets.token_urlsafe(32)
        digest = digest_of(cookie)
        expires_at = self._clock.now_ms() + ABSOLUTE_MS
        await change.add_session(digest, account.id, expires_at, ip[:_MAX_IP], _clip(user_agent))
        await change.record(
            "member.signed_in", organization=account.organization, subject=account.id, actor=account.email,
            ip=ip, details={"method": method},
        )  # fmt: skip
        return _actor(account, Session(digest, account.id, 0, 0, expires_at, ip, ""), ip), cookie

    async def authenticate(self, cookie: str, ip: str) -> Actor | None:
        """Whose session this is; None if it has ended or never was."""
        if not 20 <= len(cookie) <= 128:
            return None
        session = await self._identity.find_session(digest_of(cookie))
        if session is None or self._has_ended(session):
            return None
        account = await self._identity.find_account(session.member_id)
        if account is None:
            return None
        if self._clock.now_ms() - session.last_used_at >= _TOUCH_MS:
            await self._identity.touch_session(session.digest)
        return _actor(account, session, ip)

    async def sign_out(self, actor: Actor) -> None:
        """End the session that the actor is here by."""
        await self.end(actor, _session_id(actor))

    async def sign_out_everywhere(self, actor: Actor) -> int:
        """End all sessions of the actor; returns how many there were."""
        _session_id(actor)
        async with self._identity.change() as change:
            count = await change.delete_sessions(actor.member_id)
            await _record_end(change, actor, {"sessions": count})
        return count

    async def list(self, actor: Actor) -> list[dict[str, Any]]:
        """The actor's own sessions that have not ended, as objects."""
        sessions = await self._identity.list_sessions(actor.member_id) if actor.member_id else []
        return [
            session_object(session, actor.credential_id)
            for session in sessions
            if not self._has_ended(session)
        ]

    async def end(self, actor: Actor, session_id: str) -> None:
        """End one of the actor's own sessions. Raises NotFound."""
        for session in await self._identity.list_sessions(actor.member_id):
            if session.id == session_id:
                async with self._identity.change() as change:
                    await change.delete_session(session.digest)
                    await _record_end(change, actor, {"sessions": 1})
                return
        raise NotFound("there is no such session")

    def _has_ended(self, session: Session) -> bool:
        now_ms = self._clock.now_ms()
        return now_ms >= session.expires_at or now_ms - session.last_used_at >= IDLE_MS


def session_object(session: Session, current_id: str) -> dict[str, Any]:
    """A session as the API and the dashboard show it."""
    return {
        "id": session.id,
        "created_at": format_time(session.created_at),
        "last_used_at": format_time(session.last_used_at),
        "expires_at": format_time(session.expires_at),
        "ip": session.ip,
        "user_agent": session.user_agent,
        "current": session.id == current_id,
    }


def digest_of(secret: str) -> str:
    """What is stored of a random secret of 32 bytes; nothing slower is needed for so much randomness."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _session_id(actor: Actor) -> str:
    if actor.via != "session":
        raise NotAllowed("only a signed-in member has sessions")
    return actor.credential_id


async def _record_end(change: IdentityChange, actor: Actor, details: dict[str, Any]) -> None:
    await change.record(
        "member.signed_out", organization=actor.home, subject=actor.member_id, actor=actor.name, ip=actor.ip,
        details=details,
    )  # fmt: skip


def _actor(account: Account, session: Session, ip: str) -> Actor:
    return Actor(
        name=account.email,
        role=Role(account.role),
        organization=account.organization,
        member_id=account.id,
        email=account.email,
        ip=ip,
        credential_id=session.id,
    )


def _clip(text: str) -> str:
    return "".join(c for c in text[:_MAX_USER_AGENT] if c.isprintable())
