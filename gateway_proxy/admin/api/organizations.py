"""`/organizations`: who owns keys, members and gateways. Documents are judged by the service."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Asked, Cursor, ListQuery, Shown, Time, page_answer
from gateway_proxy.admin.paging import cut_page


class OrganizationListQuery(ListQuery):
    sort: Literal["name", "created_at"] = "name"


class OrganizationCreation(Asked):
    name: str = Field(max_length=200, description="Without blanks.", examples=["acme"])
    owner: str | None = Field(
        None, max_length=320, description="E-mail address of the first owner, who is invited."
    )


class OrganizationShown(Shown):
    id: str
    name: str
    created_at: Time


class OrganizationListShown(Shown):
    data: list[OrganizationShown]
    next_cursor: Cursor


class OrganizationMade(Shown):
    organization: OrganizationShown
    link: str | None = Field(
        description="The owner's invitation, in this answer only; null if none was named."
    )


async def list_organizations(call: Call[OrganizationListQuery, None]) -> Answer:
    found = await call.admin.organizations.list(call.actor)
    return page_answer(cut_page(found, call.query.listing(call.query.sort)))


async def add_organization(call: Call[None, Any]) -> Answer:
    added = await call.admin.organizations.add(call.actor, call.body)
    return Answer({"organization": added.organization, "link": added.link or None})


async def show_organization(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.organizations.find(call.actor, call.ids["organization_id"]))


OPERATIONS = (
    Operation(
        method="GET", path="/organizations", name="listOrganizations", summary="List organizations",
        handler=list_organizations, query=OrganizationListQuery, answer=OrganizationListShown,
    ),
    Operation(
        method="POST", path="/organizations", name="addOrganization", summary="Add an organization",
        handler=add_organization, body=OrganizationCreation, judged_by_service=True, answer=OrganizationMade,
        status=201, conflicts=True,
    ),
    Operation(
        method="GET", path="/organizations/{organization_id}", name="getOrganization", summary="Show an organization",
        handler=show_organization, answer=OrganizationShown,
    ),
)  # fmt: skip
