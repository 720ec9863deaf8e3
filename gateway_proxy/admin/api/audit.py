"""`/audit`: who did what, and whether the gateways' own logs of it are untouched."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import MAX_PAGE, Asked, AskedTime, Cursor, Shown, Time, page_answer
from gateway_proxy.storage.changes import ChangeFilter


class AuditListQuery(Asked):
    from_: AskedTime | None = Field(None, alias="from", description="Done at or after this time.")
    to: AskedTime | None = Field(None, description="Done before this time.")
    action: str = Field("", max_length=100, description="Such as `key.revoked`; `key.*` is all of a kind.")
    actor: str = Field("", max_length=320, description="Who did it, exactly as `actor` shows it.")
    subject: str = Field("", max_length=200, description="The id of the key, member or token.")
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class ActShown(Shown):
    """One act of an admin, or a sign-in."""

    id: str
    at: Time
    action: str
    organization: str
    subject: str = Field(description="The id of what it was done to.")
    subject_name: str = Field(
        description="What a key is or was called, a member's address, a token's or gateway's name; empty when it is gone."
    )
    actor: str = Field(description="An e-mail address, `token:NAME` or `cli`.")
    ip: str = Field(description="Where it was asked from; empty for the command line.")
    details: dict[str, Any] = Field(description="`changes` hold each member as [before, after].")
    change: int = Field(description="Its number in the store's change log.")


class ActListShown(Shown):
    data: list[ActShown]
    next_cursor: Cursor


class ChainShown(Shown):
    """What is known of a gateway's own log."""

    gateway_id: str
    name: str
    organization: str
    status: Literal["ok", "broken", "elsewhere"] = Field(
        description="elsewhere: its files are on another machine; run `audit verify` there."
    )
    entries: int | None
    fault: str | None = Field(description="File, line and what is wrong there.")
    head: str = Field(description="The last reported end of the chain: number and mac.")
    reported_at: Time
    checked_at: Time | None


class ChainListShown(Shown):
    data: list[ChainShown]
    next_cursor: Cursor


async def list_acts(call: Call[AuditListQuery, None]) -> Answer:
    asked = call.query
    wanted = ChangeFilter(
        action=asked.action, actor=asked.actor, subject=asked.subject, start_ms=asked.from_, end_ms=asked.to
    )
    return page_answer(
        await call.admin.audit.search(call.actor, wanted, limit=asked.limit, cursor=asked.cursor)
    )


async def list_chains(call: Call[None, None]) -> Answer:
    return Answer({"data": await call.admin.audit.chains(call.actor), "next_cursor": None})


OPERATIONS = (
    Operation(
        method="GET", path="/audit", name="listAudit", summary="List what was done, the newest first",
        handler=list_acts, query=AuditListQuery, answer=ActListShown,
    ),
    Operation(
        method="GET", path="/audit/chains", name="listAuditChains",
        summary="Whether the gateways' audit logs are as they were written",
        handler=list_chains, answer=ChainListShown,
    ),
)  # fmt: skip
