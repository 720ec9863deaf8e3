"""One-time links: the first owner's set-up, invitations, new passwords, and the demo's way in.

A link is 32 random bytes, known to the store as SHA-256. Looking at one does not use it up, since mail scanners look.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.documents import finish, read_email, read_name, refuse
from gateway_proxy.admin.passwords import Passwords, find_weakness
from gateway_proxy.admin.problem import Conflict, NotFound, Problem
from gateway_proxy.admin.sessions import Sessions, digest_of
from gateway_proxy.core.clock import Clock
from gateway_proxy.keys.fields import Problems
from gateway_proxy.storage.identity import Identity
from gateway_proxy.storage.identity_change import Account, IdentityChange

LinkKind = Literal["setup", "invite", "reset", "enter"]
_HOURS: dict[LinkKind, int] = {"setup": 24, "invite": 7 * 24, "reset": 24, "enter": 24}
_USED = "this link was used already, has expired, or was replaced by a newer one; ask for a new one"
DEMO_EMAIL = "demo@example.com"


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """For whom a link is. A set-up link has no member yet: `email` and `name` are empty."""

    organization: str
    email: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who came by the link, and the value of their cookie."""

    actor: Actor
    cookie: str = field(repr=False)


class Links:
    """Makes links and lets people in by them. Raises NotFound for a link that no longer works."""

    def __init__(
        self,
        identity: Identity,
        passwords: Passwords,
        sessions: Sessions,
        clock: Clock,
        dashboard_url: str = "/dashboard",
    ) -> None:
        self._identity = identity
        self._passwords = passwords
        self._sessions = sessions
        self._clock = clock
        self._dashboard_url = dashboard_url

    def url(self, kind: LinkKind, secret: str) -> str:
        """Where the link leads: a full URL, or a path where no address is known."""
        return f"{self._dashboard_url}/{kind}/{secret}"

    async def make(
        self,
        change: IdentityChange,
        kind: LinkKind,
        organization: str,
        member_id: str | None,
        *,
        beside: bool = False,
    ) -> str:
        """A new link in the place of earlier ones, a set-up link also `beside` them; returns its secret."""
        secret = secrets.token_urlsafe(32)
        expires_at = self._clock.now_ms() + _HOURS[kind] * 3_600_000
        await change.add_link(digest_of(secret), kind, organization, member_id, expires_at, beside=beside)
        return secret

    async def is_set_up(self) -> bool:
        """Whether anybody is a member."""
        return await self._identity.has_members()

    async def look(self, kind: LinkKind, secret: str) -> LinkTarget:
        """For whom the link is, without using it."""
        found = await self._identity.find_link(digest_of(secret), kind)
        if found is None or (kind == "setup" and await self._identity.has_members()):
            raise NotFound(_USED, code="link_invalid")
        organization, member_id = found
        account = await self._identity.find_account(member_id) if member_id else None
        return LinkTarget(organization, account.email if account else "", account.name if account else "")

    async def set_up(
        self, secret: str, *, name: str, email: str, password: str, ip: str, user_agent: str
    ) -> SignedIn:
        """Make the first owner. Raises Invalid; Conflict when somebody else was first."""
        await self.look("setup", secret)
        problems = Problems()
        email = read_email(email, "email", problems)
        name = read_name(name, "name", problems)
        _judge(password, problems, name, email)
        finish(problems)
        hashed = await self._passwords.hash(password)
        async with self._identity.change() as change:
            organization, _ = await _use(change, "setup", secret)
            if await change.has_members():
                raise Conflict("this gateway was set up already; sign in instead", code="already_set_up")
            await change.ensure_organization(organization)
            account = await change.add_member(organization, email, name, Role.OWNER.value)
            await change.set_password(account.id, hashed)
            await change.record(
                "setup.completed", organization=organization, subject=account.id, actor=email, ip=ip,
                details={"email": email, "role": Role.OWNER.value},
            )  # fmt: skip
            return SignedIn(*await self._sessions.open(change, account, ip, user_agent, "setup"))

    async def accept(
        self,
        kind: Literal["invite", "reset"],
        secret: str,
        *,
        password: str,
        ip: str,
        user_agent: str,
        name: str | None = None,
    ) -> SignedIn:
        """Set the member's password and sign them in; every other session of theirs ends. Raises Invalid."""
        target = await self.look(kind, secret)
        problems = Problems()
        new_name = target.name if name is None else read_name(name, "name", problems)
        _judge(password, problems, new_name, target.email)
        finish(problems)
        hashed = await self._passwords.hash(password)
        async with self._identity.change() as change:
            account = await _use_for_member(change, kind, secret)
            await change.set_password(account.id, hashed)
            if new_name != account.name:
                await change.save_member(account.id, new_name, account.role)
            await change.delete_sessions(account.id)
            await change.record(
                "member.password_changed", organization=account.organization, subject=account.id,
                actor=account.email, ip=ip, details={"by": kind},
            )  # fmt: skip
            return SignedIn(*await self._sessions.open(change, account, ip, user_agent, kind))

    async def enter(self, secret: str, ip: str, user_agent: str) -> SignedIn:
        """Sign in by the link alone: the demo's."""
        async with self._identity.change() as change:
            account = await _use_for_member(change, "enter", secret)
            return SignedIn(*await self._sessions.open(change, account, ip, user_agent, "link"))

    async def ensure_setup_link(self, organization: str, *, beside: bool = False) -> str | None:
        """A new set-up link for the first owner of the organization; None where there is any member.

        It ends earlier ones, but `beside` those of other gateways: whichever is used first ends all.
        """
        if await self._identity.has_members():
            return None
        async with self._identity.change() as change:
            return self.url("setup", await self.make(change, "setup", organization, None, beside=beside))

    async def make_demo_link(self, organization: str = "default") -> str:
        """A link that signs the demo's owner in, who is made if need be."""
        accounts = await self._identity.find_accounts(DEMO_EMAIL)
        async with self._identity.change() as change:
            mine = [account for account in accounts if account.organization == organization]
            if mine:
                account = mine[0]
            else:
                await change.ensure_organization(organization)
                account = await change.add_member(organization, DEMO_EMAIL, "Demo", Role.OWNER.value)
                await change.record(
                    "member.added", organization=organization, subject=account.id, actor="demo", ip="",
                    details={"email": DEMO_EMAIL, "role": Role.OWNER.value},
                )  # fmt: skip
            return self.url("enter", await self.make(change, "enter", organization, account.id))


def write_setup_link(data_dir: Path, link: str | None) -> Path:
    """Leave the link in `data_dir/setup-link` for its owner's eyes only, or remove the file. Raises OSError."""
    path = data_dir / "setup-link"
    if link is None:
        path.unlink(missing_ok=True)
        return path
    draft = data_dir / f".setup-link.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{link}\n")
    draft.replace(path)
    return path


def check_password(password: str, path: str, *personal: str) -> None:
    """Raises Invalid, naming `path`, for a password that is too easy."""
    weakness = find_weakness(password, *personal)
    if weakness:
        raise refuse(path, weakness)


def _judge(password: str, problems: Problems, name: str, email: str) -> None:
    weakness = find_weakness(password, name, email)
    if weakness:
        problems.add("password", weakness)


async def _use(change: IdentityChange, kind: LinkKind, secret: str) -> tuple[str, str | None]:
    used = await change.use_link(digest_of(secret), kind)
    if used is None:
        raise NotFound(_USED, code="link_invalid")
    return used


async def _use_for_member(change: IdentityChange, kind: LinkKind, secret: str) -> Account:
    _, member_id = await _use(change, kind, secret)
    account = await change.find_account(member_id) if member_id else None
    if account is None:
        raise Problem(_USED, code="link_invalid")
    return account
