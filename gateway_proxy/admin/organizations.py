"""Organizations: who owns keys, members and gateways. Made by an owner of the default one, or on the command line."""

from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.admin.actor import Actor, Role
from gateway_proxy.admin.documents import finish, read_document, read_email
from gateway_proxy.admin.members import MemberAdmin
from gateway_proxy.admin.problem import Conflict, NotAllowed, NotFound
from gateway_proxy.core.clock import format_time
from gateway_proxy.keys.fields import Problems, read_label
from gateway_proxy.storage.database import StoreConflict
from gateway_proxy.storage.identity import Identity
from gateway_proxy.storage.registry import Organization, Registry

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Added:
    """An organization object, and the invitation of its first owner ("" if none was named)."""

    organization: dict[str, Any]
    link: str = field(default="", repr=False)


class OrganizationAdmin:
    """Every method raises Problem where the actor may not, or the document or id is wrong."""

    def __init__(self, registry: Registry, identity: Identity, members: MemberAdmin) -> None:
        self._registry = registry
        self._identity = identity
        self._members = members

    async def list(self, actor: Actor) -> list[dict[str, Any]]:
        """By name: all for whoever may make them, else the actor's own."""
        organizations = await self._registry.list_organizations()
        return [
            organization_object(organization)
            for organization in organizations
            if may_make(actor) or organization.name == actor.organization
        ]

    async def find(self, actor: Actor, organization_id: str) -> dict[str, Any]:
        for shown in await self.list(actor):
            if shown["id"] == organization_id:
                return shown
        raise NotFound(f"there is no organization {organization_id}")

    async def add(self, actor: Actor, document: object) -> Added:
        """`{"name", "owner"?}`: with an owner's e-mail address they are invited in the same step."""
        if not may_make(actor):
            raise NotAllowed(f"only an owner of the organization {DEFAULT} may add organizations")
        problems = Problems()
        read = read_document(document, ("name", "owner"), problems)
        name = read_label(read.get("name"), "name", problems)
        if name == "*" or any(character.isspace() for character in name):
            problems.add("name", "must hold no blanks and must not be '*'")
        owner = read_email(read["owner"], "owner", problems) if read.get("owner") else ""
        finish(problems)
        async with self._identity.change() as change:
            try:
                organization = await change.add_organization(name)
            except StoreConflict as error:
                raise Conflict(str(error)) from None
            await change.record(
                "organization.added", organization=name, subject=organization.id, actor=actor.name, ip=actor.ip,
                details={"name": name},
            )  # fmt: skip
            link = ""
            if owner:
                link = (await self._members.invite(change, actor, name, owner, "", Role.OWNER)).link
        return Added(organization_object(organization), link)


def may_make(actor: Actor) -> bool:
    """Whether they may add organizations, and so see all of them."""
    is_home = actor.organization in (None, DEFAULT)
    return actor.via == "cli" or (is_home and actor.role is Role.OWNER)


def organization_object(organization: Organization) -> dict[str, Any]:
    """An organization as the API, the command line and the dashboard show it."""
    return {
        "id": organization.id,
        "name": organization.name,
        "created_at": format_time(organization.created_at),
    }
