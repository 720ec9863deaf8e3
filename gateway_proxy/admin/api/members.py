"""`/members`: who belongs to the organization. Documents are judged by the service."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Asked, Cursor, ListQuery, Nothing, Shown, Time, page_answer
from gateway_proxy.admin.members import Invited
from gateway_proxy.admin.paging import cut_page


class MemberListQuery(ListQuery):
    search: str = Field("", max_length=200, description="Part of the e-mail address or name.")
    status: Literal["all", "active", "invited"] = "all"
    sort: Literal["email", "name", "role", "status", "created_at", "last_sign_in_at"] = "email"


class MemberPatch(Asked):
    """A merge patch."""

    name: str | None = Field(None, max_length=200)
    role: Role | None = None


class MemberCreation(MemberPatch):
    email: str = Field(max_length=320, examples=["ada@example.com"])
    organization: str | None = Field(None, description="Default: one's own.")


class MemberRemovalQuery(Asked):
    transfer_to: str = Field(
        "", max_length=320, description="The member who gets the keys; absent: the keys are deactivated."
    )


class MemberShown(Shown):
    """A dashboard user."""

    id: str
    email: str
    name: str
    role: Role
    organization: str
    status: Literal["active", "invited"]
    created_at: Time
    last_sign_in_at: Time | None


class MemberListShown(Shown):
    data: list[MemberShown]
    next_cursor: Cursor


class InvitationShown(Shown):
    """The link is in this answer only; with it the member sets a password, once."""

    member: MemberShown
    link: str


async def list_members(call: Call[MemberListQuery, None]) -> Answer:
    asked = call.query
    found = await call.admin.members.list(call.actor, search=asked.search, status=asked.status)
    return page_answer(cut_page(found, asked.listing(asked.sort), ("email", "name")))


async def invite_member(call: Call[None, Any]) -> Answer:
    return _invitation(await call.admin.members.add(call.actor, call.body))


async def show_member(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.members.find(call.actor, call.ids["member_id"]))


async def update_member(call: Call[None, Any]) -> Answer:
    return Answer(await call.admin.members.update(call.actor, call.ids["member_id"], call.body))


async def remove_member(call: Call[MemberRemovalQuery, None]) -> Answer:
    await call.admin.members.remove(call.actor, call.ids["member_id"], transfer_to=call.query.transfer_to)
    return Answer()


async def make_link(call: Call[None, Nothing]) -> Answer:
    return _invitation(await call.admin.members.make_link(call.actor, call.ids["member_id"]))


def _invitation(invited: Invited) -> Answer:
    return Answer({"member": invited.member, "link": invited.link})


OPERATIONS = (
    Operation(
        method="GET", path="/members", name="listMembers", summary="List members",
        handler=list_members, query=MemberListQuery, answer=MemberListShown,
    ),
    Operation(
        method="POST", path="/members", name="inviteMember", summary="Invite a member; the link is in the answer, once",
        handler=invite_member, body=MemberCreation, judged_by_service=True, answer=InvitationShown, status=201,
        conflicts=True,
    ),
    Operation(
        method="GET", path="/members/{member_id}", name="getMember", summary="Show a member",
        handler=show_member, answer=MemberShown,
    ),
    Operation(
        method="PATCH", path="/members/{member_id}", name="updateMember", summary="Change a member's name or role",
        handler=update_member, body=MemberPatch, judged_by_service=True, answer=MemberShown, conflicts=True,
    ),
    Operation(
        method="DELETE", path="/members/{member_id}", name="removeMember",
        summary="Remove a member; their keys are deactivated or transferred",
        handler=remove_member, query=MemberRemovalQuery, status=204, conflicts=True,
    ),
    Operation(
        method="POST", path="/members/{member_id}/link", name="makeMemberLink",
        summary="Make a new one-time link by which a member sets a password; earlier ones end",
        handler=make_link, body=Nothing, body_optional=True, answer=InvitationShown, status=201,
    ),
)  # fmt: skip
