"""Admin tokens: secrets for programs that use the admin API.

A token of a member never may more than that member, and ends with the membership. One without a member belongs to
the organization. Stored as HMAC under the pepper; the secret is shown once.
"""

from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.documents import (
    finish,
    normalise_email,
    read_document,
    read_expiry,
    read_name,
    read_role,
    refuse,
)
from gateway_proxy.admin.problem import NotAllowed, NotFound
from gateway_proxy.admin.roles import covers, is_manager, require_manager, require_owner_for
from gateway_proxy.core.clock import Clock, format_time
from gateway_proxy.core.ids import new_id
from gateway_proxy.keys.fields import Problems
from gateway_proxy.keys.secret import digest, looks_like_secret, mint, pepper_id, preview
from gateway_proxy.storage.identity import Identity, Token
from gateway_proxy.storage.identity_change import Account

_TOUCH_MS = 60_000


@dataclass(frozen=True, slots=True)
class TokenSecret:
    """A token object and its secret, this once."""

    token: dict[str, Any]
    secret: str = field(repr=False)


class TokenAdmin:
    """Every method raises Problem where the actor may not, or the document or id is wrong."""

    def __init__(self, identity: Identity, clock: Clock, pepper: bytes) -> None:
        self._identity = identity
        self._clock = clock
        self._pepper = pepper
        self._pepper_id = pepper_id(pepper)

    async def create(self, actor: Actor, document: object) -> TokenSecret:
        """`{"role", "member"?, "name"?, "expires_in" | "expires_at"}`; `member` is an e-mail address."""
        problems = Problems()
        known = ("name", "role", "member", "expires_in", "expires_at")
        read = read_document(document, known, problems)
        name = read_name(read.get("name"), "name", problems)
        role = read_role(read.get("role"), "role", problems)
        expires_at = read_expiry(read, self._clock.now_ms(), problems)
        email = read.get("member") or ""
        if not isinstance(email, str):
            problems.add("member", "must be an e-mail address")
        finish(problems)
        account = await self._find_bearer(actor, normalise_email(email), role)
        secret = mint("gwa")
        organization = account.organization if account else actor.home
        token = Token(
            id=new_id("tok"),
            pepper_id=self._pepper_id,
            preview=preview(secret),
            organization=organization,
            name=name,
            role=role.value,
            member_id=account.id if account else None,
            created_at=self._clock.now_ms(),
            expires_at=expires_at,
            last_used_at=None,
        )
        async with self._identity.change() as change:
            if account is not None and await change.find_account(account.id) is None:
                raise NotFound(f"there is no member {account.email}")
            if not await change.has_organization(organization):
                await change.ensure_organization(organization)
            await change.add_token(
                token.id, digest(self._pepper, secret).hex(), pepper_id=token.pepper_id, preview=token.preview,
                organization=organization, name=name, role=token.role, member_id=token.member_id,
                expires_at=expires_at,
            )  # fmt: skip
            shown = token_object(token, account, self._clock.now_ms())
            await change.record(
                "token.created", organization=organization, subject=token.id, actor=actor.name, ip=actor.ip,
                details={key: shown[key] for key in ("name", "role", "member", "preview", "expires_at")},
            )  # fmt: skip
        return TokenSecret(shown, secret)

    async def list(self, actor: Actor) -> list[dict[str, Any]]:
        """Newest first; those who are no owner or admin see their own."""
        tokens = await self._identity.list_tokens(actor.organization)
        accounts = {a.id: a for a in await self._identity.list_accounts(actor.organization)}
        now_ms = self._clock.now_ms()
        return [
            token_object(token, accounts.get(token.member_id or ""), now_ms)
            for token in tokens
            if is_manager(actor) or _is_own(actor, token)
        ]

    async def find(self, actor: Actor, token_id: str) -> dict[str, Any]:
        token = await self._find(actor, token_id)
        account = await self._identity.find_account(token.member_id) if token.member_id else None
        return token_object(token, account, self._clock.now_ms())

    async def revoke(self, actor: Actor, token_id: str) -> None:
        """End the token for good. An owner's needs an owner."""
        token = await self._find(actor, token_id)
        if not _is_own(actor, token):
            require_manager(actor, "revoke tokens of others")
            require_owner_for(actor, Role(token.role), "revoke a token with the role owner")
        async with self._identity.change() as change:
            if not await change.delete_token(token_id):
                raise NotFound(f"there is no token {token_id}")
            await change.record(
                "token.revoked", organization=token.organization, subject=token.id, actor=actor.name, ip=actor.ip,
                details={"name": token.name, "role": token.role, "preview": token.preview},
            )  # fmt: skip

    async def authenticate(self, secret: str, ip: str) -> Actor | None:
        """Whose token this is and what it may now; None if it has ended or never was."""
        if not secret.startswith("gwa_") or not looks_like_secret(secret):
            return None
        token = await self._identity.find_token_by_digest(digest(self._pepper, secret).hex())
        now_ms = self._clock.now_ms()
        if token is None or (token.expires_at is not None and now_ms >= token.expires_at):
            return None
        role: Role | None = Role(token.role)
        email = ""
        if token.member_id is not None:
            account = await self._identity.find_account(token.member_id)
            if account is None:
                return None
            role, email = _narrower(Role(token.role), Role(account.role)), account.email
        if role is None:
            return None
        if token.last_used_at is None or now_ms - token.last_used_at >= _TOUCH_MS:
            await self._identity.touch_token(token.id)
        return Actor(
            name=f"token:{token.name or token.preview}",
            role=role,
            organization=token.organization,
            member_id=token.member_id or "",
            email=email,
            ip=ip,
            credential_id=token.id,
            via="token",
        )

    async def _find_bearer(self, actor: Actor, email: str, role: Role) -> Account | None:
        """The member whose token it will be, None for the organization's own."""
        if not covers(actor.role, role):
            raise NotAllowed(f"the role {actor.role.value} may not make a token with the role {role.value}")
        if not email and not is_manager(actor):
            email = actor.email
        if not email:
            require_manager(actor, "make tokens of the organization")
            if role is Role.MEMBER:
                raise refuse("member", "is needed for the role member, which manages a member's own keys")
            return None
        if email != actor.email:
            require_manager(actor, "make tokens for others")
        accounts = await self._identity.find_accounts(email)
        mine = [a for a in accounts if actor.organization in (None, a.organization)]
        if len(mine) != 1:
            several = "a member of several organizations" if mine else "no member"
            raise refuse("member", f"{email} is {several}")
        if mine[0].id != actor.member_id:
            require_owner_for(actor, Role(mine[0].role), "make a token for an owner")
        if not covers(Role(mine[0].role), role):
            raise refuse("role", f"{role.value} is more than {email} may, who is {mine[0].role}")
        return mine[0]

    async def _find(self, actor: Actor, token_id: str) -> Token:
        token = await self._identity.find_token(token_id)
        is_seen = token is not None and actor.organization in (None, token.organization)
        if token is None or not is_seen or not (is_manager(actor) or _is_own(actor, token)):
            raise NotFound(f"there is no token {token_id}")
        return token


def token_object(token: Token, account: Account | None, now_ms: int) -> dict[str, Any]:
    """A token as the API, the command line and the dashboard show it. `member` is an e-mail address or null."""
    is_expired = token.expires_at is not None and now_ms >= token.expires_at
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "member": account.email if account else None,
        "organization": token.organization,
        "preview": token.preview,
        "status": "expired" if is_expired else "active",
        "created_at": format_time(token.created_at),
        "expires_at": format_time(token.expires_at),
        "last_used_at": format_time(token.last_used_at),
    }


def _narrower(one: Role, other: Role) -> Role | None:
    """What both may; None where that is nothing (members and viewers)."""
    if covers(other, one):
        return one
    return other if covers(one, other) else None


def _is_own(actor: Actor, token: Token) -> bool:
    return bool(actor.member_id) and token.member_id == actor.member_id
