"""`/gateways`."""

from typing import Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Cursor, ListQuery, Nothing, Shown, Time, page_answer

GatewayStatus = Literal["pending", "healthy", "offline", "revoked"]


class GatewayListQuery(ListQuery):
    search: str = Field("", max_length=200, description="Part of the name or id.")
    status: Literal["all", "pending", "healthy", "offline", "revoked"] = "all"
    sort: Literal["name", "status", "version", "started_at", "last_seen_at"] = "name"


class ProviderSeen(Shown):
    name: str
    health: Literal["up", "down", "half_open"]


class GatewayShown(Shown):
    """A running data plane as it last reported itself."""

    id: str
    name: str
    organization: str = Field(description='Whose keys it serves; "*": every organization\'s.')
    status: GatewayStatus = Field(description="pending: behind the store; offline: silent for 15 seconds.")
    version: str
    started_at: Time
    last_seen_at: Time
    revoked_at: Time | None
    applied_changes: int = Field(description="The number of the last change that it has applied.")
    changes_behind: int
    config_digest: str = Field(description="Of the settings that gateways have in common.")
    config_differs: bool = Field(description="Whether most of the attached gateways run with other settings.")
    providers: list[ProviderSeen]


class GatewayListShown(Shown):
    data: list[GatewayShown]
    next_cursor: Cursor


async def list_gateways(call: Call[GatewayListQuery, None]) -> Answer:
    status = None if call.query.status == "all" else call.query.status
    return page_answer(
        await call.admin.gateways.search(call.actor, call.query.listing(call.query.sort), status)
    )


async def show_gateway(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.gateways.find(call.actor, call.ids["gateway_id"]))


async def revoke_gateway(call: Call[None, Nothing]) -> Answer:
    return Answer(await call.admin.gateways.revoke(call.actor, call.ids["gateway_id"]))


async def allow_gateway(call: Call[None, Nothing]) -> Answer:
    return Answer(await call.admin.gateways.allow(call.actor, call.ids["gateway_id"]))


async def forget_gateway(call: Call[None, Nothing]) -> Answer:
    await call.admin.gateways.forget(call.actor, call.ids["gateway_id"])
    return Answer()


OPERATIONS = (
    Operation(
        method="GET", path="/gateways", name="listGateways", summary="List gateways",
        handler=list_gateways, query=GatewayListQuery, answer=GatewayListShown,
    ),
    Operation(
        method="GET", path="/gateways/{gateway_id}", name="getGateway", summary="Show a gateway",
        handler=show_gateway, answer=GatewayShown,
    ),
    Operation(
        method="POST", path="/gateways/{gateway_id}/revoke", name="revokeGateway",
        summary="Have a gateway refuse all traffic",
        handler=revoke_gateway, body=Nothing, body_optional=True, answer=GatewayShown,
    ),
    Operation(
        method="POST", path="/gateways/{gateway_id}/allow", name="allowGateway", summary="Undo a revocation",
        handler=allow_gateway, body=Nothing, body_optional=True, answer=GatewayShown,
    ),
    Operation(
        method="POST", path="/gateways/{gateway_id}/forget", name="forgetGateway",
        summary="Drop a gateway's record; one that still runs comes back",
        handler=forget_gateway, body=Nothing, body_optional=True, status=204,
    ),
)  # fmt: skip
