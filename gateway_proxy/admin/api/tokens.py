"""`/tokens`: secrets for programs that use this API. Documents are judged by the service."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.actor import Role
from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Asked, Cursor, ListQuery, Shown, Time, page_answer
from gateway_proxy.admin.paging import cut_page


class TokenListQuery(ListQuery):
    search: str = Field("", max_length=200, description="Part of the name, preview or member.")
    status: Literal["all", "active", "expired"] = "all"
    sort: Literal["name", "role", "status", "created_at", "expires_at", "last_used_at"] | None = Field(
        None, description="Absent: the newest first."
    )


class TokenCreation(Asked):
    """One of `expires_in` and `expires_at` must be there."""

    role: Role
    name: str | None = Field(None, max_length=200)
    member: str | None = Field(
        None,
        max_length=320,
        description="E-mail address of the member whose token it is; null: the organization's.",
    )
    expires_in: Literal["never", "30d", "60d", "90d", "180d", "1y"] | None = None
    expires_at: Time | None = None


class TokenShown(Shown):
    """An admin token; with a member it never may more than they."""

    id: str
    name: str
    role: Role
    member: str | None
    organization: str
    preview: str
    status: Literal["active", "expired"]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class TokenListShown(Shown):
    data: list[TokenShown]
    next_cursor: Cursor


class TokenSecretShown(Shown):
    """The secret is in this answer only."""

    token: TokenShown
    secret: str


async def list_tokens(call: Call[TokenListQuery, None]) -> Answer:
    asked = call.query
    found = [t for t in await call.admin.tokens.list(call.actor) if asked.status in ("all", t["status"])]
    return page_answer(cut_page(found, asked.listing(asked.sort), ("name", "preview", "member")))


async def create_token(call: Call[None, Any]) -> Answer:
    made = await call.admin.tokens.create(call.actor, call.body)
    return Answer({"token": made.token, "secret": made.secret})


async def show_token(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.tokens.find(call.actor, call.ids["token_id"]))


async def revoke_token(call: Call[None, None]) -> Answer:
    await call.admin.tokens.revoke(call.actor, call.ids["token_id"])
    return Answer()


OPERATIONS = (
    Operation(
        method="GET", path="/tokens", name="listTokens", summary="List admin tokens",
        handler=list_tokens, query=TokenListQuery, answer=TokenListShown,
    ),
    Operation(
        method="POST", path="/tokens", name="createToken", summary="Make an admin token; its secret is in the answer, once",
        handler=create_token, body=TokenCreation, judged_by_service=True, answer=TokenSecretShown, status=201,
        idempotent=True,
    ),
    Operation(
        method="GET", path="/tokens/{token_id}", name="getToken", summary="Show an admin token",
        handler=show_token, answer=TokenShown,
    ),
    Operation(
        method="DELETE", path="/tokens/{token_id}", name="revokeToken", summary="End an admin token for good",
        handler=revoke_token, status=204,
    ),
)  # fmt: skip
