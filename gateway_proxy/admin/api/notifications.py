"""`/notifications`: who hears of events, and how deliveries went."""

from typing import Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import MAX_PAGE, Asked, Cursor, Nothing, Shown, Time, page_answer

DeliveryState = Literal["pending", "delivered", "failed"]


class DeliveryListQuery(Asked):
    endpoint: str | None = Field(None, max_length=100, description="An endpoint's id.")
    state: Literal["all", "pending", "delivered", "failed"] = "all"
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class EndpointShown(Shown):
    """A webhook or notification service of the settings."""

    id: str
    kind: Literal["webhook", "service"]
    name: str = Field(description="Its address without what may be secret.")
    organization: str
    events: list[str]
    status: Literal["enabled", "disabled"] = Field(description="disabled: it answered 410.")
    disabled_reason: str | None


class EndpointListShown(Shown):
    data: list[EndpointShown]
    next_cursor: Cursor


class DeliveryShown(Shown):
    """An event on its way to an endpoint."""

    id: str
    event_id: str = Field(description="What receivers get as `webhook-id`.")
    type: str
    key_id: str | None
    endpoint: str
    endpoint_name: str
    state: DeliveryState
    attempts: int
    created_at: Time
    attempted_at: Time | None
    next_at: Time | None = Field(description="When it is tried again, or given back by a gateway that died.")
    http_status: int | None = Field(description="Of the last attempt; null: there was no answer.")
    error: str | None


class DeliveryListShown(Shown):
    data: list[DeliveryShown]
    next_cursor: Cursor


async def list_endpoints(call: Call[None, None]) -> Answer:
    return Answer({"data": await call.admin.notifications.endpoints(call.actor), "next_cursor": None})


async def send_test(call: Call[None, Nothing]) -> Answer:
    return Answer(await call.admin.notifications.send_test(call.actor, call.ids["endpoint_id"]))


async def enable_endpoint(call: Call[None, Nothing]) -> Answer:
    return Answer(await call.admin.notifications.enable(call.actor, call.ids["endpoint_id"]))


async def list_deliveries(call: Call[DeliveryListQuery, None]) -> Answer:
    asked = call.query
    return page_answer(
        await call.admin.notifications.deliveries(
            call.actor,
            endpoint=asked.endpoint,
            state=None if asked.state == "all" else asked.state,
            limit=asked.limit,
            cursor=asked.cursor,
        )
    )


async def redeliver(call: Call[None, Nothing]) -> Answer:
    return Answer(await call.admin.notifications.redeliver(call.actor, call.ids["delivery_id"]))


OPERATIONS = (
    Operation(
        method="GET", path="/notifications/endpoints", name="listEndpoints",
        summary="List webhooks and notification services",
        handler=list_endpoints, answer=EndpointListShown,
    ),
    Operation(
        method="POST", path="/notifications/endpoints/{endpoint_id}/test", name="testEndpoint",
        summary="Send a test event and wait for how it goes",
        handler=send_test, body=Nothing, body_optional=True, answer=DeliveryShown,
    ),
    Operation(
        method="POST", path="/notifications/endpoints/{endpoint_id}/enable", name="enableEndpoint",
        summary="Send to an endpoint again that had answered 410",
        handler=enable_endpoint, body=Nothing, body_optional=True, answer=EndpointShown,
    ),
    Operation(
        method="GET", path="/notifications/deliveries", name="listDeliveries",
        summary="List deliveries of events, the newest first",
        handler=list_deliveries, query=DeliveryListQuery, answer=DeliveryListShown,
    ),
    Operation(
        method="POST", path="/notifications/deliveries/{delivery_id}/redeliver", name="redeliver",
        summary="Send an event once more to an endpoint",
        handler=redeliver, body=Nothing, body_optional=True, answer=DeliveryShown,
    ),
)  # fmt: skip
