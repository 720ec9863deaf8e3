"""`/usage`: sums from the books."""

from pydantic import BaseModel, ConfigDict, Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Asked, AskedTime, Cursor, Shown, Time, Usd
from gateway_proxy.admin.usage import UsageQuery

MAX_GROUPS_IN_PAGE = 10_000


class UsageReportQuery(Asked):
    from_: AskedTime | None = Field(
        None,
        alias="from",
        description="The hour that this time is in is counted; default: 30 days before the end.",
    )
    to: AskedTime | None = Field(
        None, description="Up to the hour that ends at or after this time; default: now."
    )
    group_by: str = Field(
        "", max_length=500, examples=["key", "owner,day", "metadata.team"],
        description="Any of key, owner, model, provider, day, hour and metadata.FIELD, separated by commas.",
    )  # fmt: skip
    key: str | None = Field(None, max_length=200, description="Only of this key's id.")
    owner: str | None = Field(None, max_length=320)
    model: str | None = Field(None, max_length=200)
    provider: str | None = Field(None, max_length=200)
    limit: int = Field(1000, ge=1, le=MAX_GROUPS_IN_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class UsageSums(Shown):
    requests: int = Field(description="Admitted.")
    errors: int = Field(description="Those of them that failed.")
    denied: int = Field(description="Refused by the gateway.")
    input_tokens: int
    cached_tokens: int = Field(description="Contained in input_tokens.")
    output_tokens: int
    cost_usd: Usd
    latency_ms: int = Field(description="Summed over the requests.")


class UsageGroup(BaseModel):
    """Sums, and a member for each name in `group_by`; metadata that a key does not have is null."""

    model_config = ConfigDict(extra="allow")

    key: str = Field("", description="Empty: requests without a key of ours.")
    key_name: str = ""
    owner: str = ""
    model: str = Field("", description="Empty: refused before it was known.")
    provider: str = ""
    day: str = Field("", description="YYYY-MM-DD, UTC.")
    hour: Time = ""
    requests: int
    errors: int
    denied: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: Usd
    latency_ms: int


class UsageReportShown(Shown):
    """`totals` are of all groups, also of those on other pages."""

    from_: Time = Field(serialization_alias="from", validation_alias="from")
    to: Time
    data: list[UsageGroup]
    totals: UsageSums
    next_cursor: Cursor


async def report_usage(call: Call[UsageReportQuery, None]) -> Answer:
    asked = call.query
    report = await call.admin.usage.report(
        call.actor,
        UsageQuery(
            start_ms=asked.from_, end_ms=asked.to, group_by=[g for g in asked.group_by.split(",") if g],
            key_id=asked.key, owner=asked.owner, model=asked.model, provider=asked.provider,
            limit=asked.limit, cursor=asked.cursor,
        ),
    )  # fmt: skip
    return Answer(
        {
            "from": report.start_at,
            "to": report.end_at,
            "data": report.data,
            "totals": report.totals,
            "next_cursor": report.next_cursor,
        }
    )


OPERATIONS = (
    Operation(
        method="GET", path="/usage", name="reportUsage", summary="What was used and spent",
        handler=report_usage, query=UsageReportQuery, answer=UsageReportShown,
    ),
)  # fmt: skip
