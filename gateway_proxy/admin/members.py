"""Members: who belongs to an organization and as what. Invited, renamed, given a role, removed with their keys."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.documents import (
    finish,
    normalise_email,
    read_document,
    read_email,
    read_name,
    read_role,
    refuse,
)
from gateway_proxy.admin.links import Links, check_password
from gateway_proxy.admin.passwords import Passwords
from gateway_proxy.admin.problem import Conflict, NotAllowed, NotFound
from gateway_proxy.admin.roles import require_manager, require_owner_for
from gateway_proxy.admin.throttle import Throttle
from gateway_proxy.core.clock import format_time
from gateway_proxy.core.key import Key
from gateway_proxy.keys.fields import Problems
from gateway_proxy.keys.service import Caller, KeyService, ServiceError
from gateway_proxy.storage.database import StoreConflict
from gateway_proxy.storage.identity import Identity
from gateway_proxy.storage.identity_change import Account, IdentityChange
from gateway_proxy.storage.key_search import KeyQuery
from gateway_proxy.storage.keys import SqlKeys

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Invited:
    """A member object and the one-time link by which they set a password."""

    member: dict[str, Any]
    link: str = field(repr=False)


class MemberAdmin:
    """Every method raises Problem where the actor may not, or the document or id is wrong."""

    def __init__(
        self,
        identity: Identity,
        keys: SqlKeys,
        service: KeyService,
        links: Links,
        passwords: Passwords,
        throttle: Throttle,
    ) -> None:
        self._identity = identity
        self._keys = keys
        self._service = service
        self._links = links
        self._passwords = passwords
        self._throttle = throttle

    async def list(self, actor: Actor, *, search: str = "", status: str = "all") -> list[dict[str, Any]]:
        """Members by e-mail address; members see only themselves. `search` is part of the address or name."""
        accounts = await self._identity.list_accounts(actor.organization)
        if actor.role is Role.MEMBER:
            accounts = [account for account in accounts if account.id == actor.member_id]
        wanted = search.strip().casefold()
        objects = [
            member_object(account)
            for account in accounts
            if wanted in account.email.casefold() or wanted in account.name.casefold()
        ]
        return [shown for shown in objects if status in ("all", shown["status"])]

    async def find(self, actor: Actor, member_id: str) -> dict[str, Any]:
        return member_object(_visible(actor, await self._identity.find_account(member_id), member_id))

    async def find_by_email(self, actor: Actor, email: str) -> dict[str, Any]:
        """The only member whom the actor can see with this address. Raises NotFound, Conflict for several."""
        email = normalise_email(email)
        found = [shown for shown in await self.list(actor) if shown["email"] == email]
        if not found:
            raise NotFound(f"there is no member {email}")
        if len(found) > 1:
            raise Conflict(f"{email} is a member of several organizations; name the member by the id")
        return found[0]

    async def add(self, actor: Actor, document: object) -> Invited:
        """Invite somebody: `{"email", "name"?, "role"?, "organization"?}`; the link is shown this once."""
        require_manager(actor, "invite members")
        problems = Problems()
        read = read_document(document, ("email", "name", "role", "organization"), problems)
        email = read_email(read.get("email"), "email", problems)
        name = read_name(read.get("name"), "name", problems)
        role = read_role(read.get("role", Role.MEMBER.value), "role", problems)
        organization = self._organization(actor, read, problems)
        finish(problems)
        require_owner_for(actor, role, "invite an owner")
        async with self._identity.change() as change:
            return await self.invite(change, actor, organization, email, name, role)

    async def invite(
        self, change: IdentityChange, actor: Actor, organization: str, email: str, name: str, role: Role
    ) -> Invited:
        """The invitation itself, inside a transaction; what is allowed was decided before."""
        if not await change.has_organization(organization):
            if organization != actor.home:
                raise refuse("organization", f"there is no organization {organization}")
            await change.ensure_organization(organization)
        try:
            account = await change.add_member(organization, email, name, role.value)
        except StoreConflict as error:
            raise Conflict(str(error)) from None
        details = {"email": email, "role": role.value}
        await _record(change, "member.added", account, actor, details)
        secret = await self._links.make(change, "invite", organization, account.id)
        return Invited(member_object(account), self._links.url("invite", secret))

    async def make_link(self, actor: Actor, member_id: str) -> Invited:
        """A new link by which the member sets a password, in the place of earlier ones."""
        require_manager(actor, "make links for members")
        async with self._identity.change() as change:
            account = _visible(actor, await change.find_account(member_id), member_id)
            require_owner_for(actor, Role(account.role), "make a link for an owner")
            kind: Any = "reset" if account.is_active else "invite"
            secret = await self._links.make(change, kind, account.organization, account.id)
            await _record(change, "member.link_made", account, actor, {"kind": kind})
        return Invited(member_object(account), self._links.url(kind, secret))

    async def update(self, actor: Actor, member_id: str, document: object) -> dict[str, Any]:
        """A merge patch of `name` (also one's own) and `role`."""
        problems = Problems()
        read = read_document(document, ("name", "role"), problems)
        async with self._identity.change() as change:
            account = _visible(actor, await change.find_account(member_id), member_id)
            before = Role(account.role)
            name = read_name(read["name"], "name", problems) if "name" in read else account.name
            role = read_role(read["role"], "role", problems) if "role" in read else before
            finish(problems)
            if role is not before or account.id != actor.member_id:
                require_manager(actor, "change members")
                require_owner_for(actor, before, "change an owner")
            if role is not before:
                require_owner_for(actor, role, "make an owner")
                await _keep_an_owner(change, account)
            await change.save_member(account.id, name, role.value)
            if role is not before:
                details = {"email": account.email, "from": before.value, "to": role.value}
                await _record(change, "member.role_changed", account, actor, details)
            if name != account.name:
                await _record(change, "member.renamed", account, actor, {"name": name})
            after = await change.find_account(account.id)
        assert after is not None
        return member_object(after)

    async def remove(self, actor: Actor, member_id: str, *, transfer_to: str = "") -> None:
        """End the membership. The member's keys are deactivated, or go to the member with that e-mail address."""
        require_manager(actor, "remove members")
        account = _visible(actor, await self._identity.find_account(member_id), member_id)
        heir = normalise_email(transfer_to)
        if heir:
            others = await self._identity.list_accounts(account.organization)
            if heir == account.email or heir not in [other.email for other in others]:
                raise refuse("transfer_to", f"{heir} is no other member of {account.organization}")
        async with self._identity.change() as change:
            account = _visible(actor, await change.find_account(member_id), member_id)
            require_owner_for(actor, Role(account.role), "remove an owner")
            await _keep_an_owner(change, account)
        # The keys first: a failure half-way leaves a member whose removal can be repeated. Then once more, for
        # keys that were made in between; after the removal none can be.
        await self._leave_keys(actor, account, heir)
        async with self._identity.change() as change:
            account = _visible(actor, await change.find_account(member_id), member_id)
            require_owner_for(actor, Role(account.role), "remove an owner")
            await _keep_an_owner(change, account)
            await change.delete_member(account.id)
            details = {"email": account.email, "keys": f"transferred to {heir}" if heir else "deactivated"}
            await _record(change, "member.removed", account, actor, details)
        await self._leave_keys(actor, account, heir)

    async def has_password(self, actor: Actor) -> bool:
        """Whether the actor has a password of their own, which a change then asks for."""
        account = await self._identity.find_account(actor.member_id)
        return account is not None and account.password_hash is not None

    async def change_password(self, actor: Actor, current: str, new: str) -> None:
        """The actor's own; all their other sessions end. Raises Invalid at `current_password` or `password`."""
        if actor.via != "session":
            raise NotAllowed("only a signed-in member can change a password")
        account = _visible(actor, await self._identity.find_account(actor.member_id), actor.member_id)
        if account.password_hash is not None:
            self._throttle.take(account.email, actor.ip)
            if not await self._passwords.check(account.password_hash, current):
                raise refuse("current_password", "is not your current password")
            self._throttle.give_back(account.email, actor.ip)
        check_password(new, "password", account.name, account.email)
        hashed = await self._passwords.hash(new)
        async with self._identity.change() as change:
            account = _visible(actor, await change.find_account(actor.member_id), actor.member_id)
            await change.set_password(account.id, hashed)
            await change.delete_sessions(account.id, but=actor.credential_id)
            await _record(change, "member.password_changed", account, actor, {"by": "member"})

    def _organization(self, actor: Actor, read: Mapping[str, Any], problems: Problems) -> str:
        named = read.get("organization")
        if named is None or named == "":
            return actor.home
        if not isinstance(named, str) or actor.organization not in (None, named):
            problems.add("organization", "is not yours; leave it out")
        return str(named)

    async def _leave_keys(self, actor: Actor, account: Account, heir: str) -> None:
        caller = Caller(actor.name, account.organization, actor.ip)
        for key in await self._list_keys(account):
            # Nobody is left to undo a half: a key that was deleted or expired meanwhile needs nothing.
            with suppress(ServiceError):
                if heir:
                    await self._service.hand_over(key.id, heir, caller)
                elif not key.inactive:
                    await self._service.deactivate(key.id, caller)

    async def _list_keys(self, account: Account) -> Sequence[Key]:
        found = []
        query = KeyQuery(organization=account.organization, owner=account.email, limit=_PAGE)
        while True:
            page = await self._keys.search(query)
            found += [key for key, _ in page.keys]
            if page.next_cursor is None:
                return found
            query = replace(query, cursor=page.next_cursor)


def member_object(account: Account) -> dict[str, Any]:
    """A member as the API, the command line and the dashboard show it."""
    return {
        "id": account.id,
        "email": account.email,
        "name": account.name,
        "role": account.role,
        "organization": account.organization,
        "status": "active" if account.is_active else "invited",
        "created_at": format_time(account.created_at),
        "last_sign_in_at": format_time(account.last_sign_in_at),
    }


def _visible(actor: Actor, account: Account | None, member_id: str) -> Account:
    is_seen = account is not None and actor.organization in (None, account.organization)
    if account is None or not is_seen or (actor.role is Role.MEMBER and account.id != actor.member_id):
        raise NotFound(f"there is no member {member_id}")
    return account


async def _keep_an_owner(change: IdentityChange, account: Account) -> None:
    if account.role == Role.OWNER and await change.count_owners(account.organization) <= 1:
        raise Conflict(
            f"{account.email} is the last owner of {account.organization}; make another owner first",
            code="last_owner",
        )


async def _record(
    change: IdentityChange, action: str, account: Account, actor: Actor, details: Mapping[str, Any]
) -> None:
    await change.record(
        action, organization=account.organization, subject=account.id, actor=actor.name, ip=actor.ip,
        details=details,
    )  # fmt: skip
