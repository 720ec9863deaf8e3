"""`/logs`: what was requested."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import (
    MAX_PAGE,
    Asked,
    AskedTime,
    Cursor,
    Metadata,
    Shown,
    Time,
    Usd,
    page_answer,
)
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.storage.reports import LogQuery


class LogListQuery(Asked):
    from_: AskedTime | None = Field(None, alias="from", description="Begun at or after this time.")
    to: AskedTime | None = Field(None, description="Begun before this time.")
    key: str | None = Field(None, max_length=200, description="A key's id.")
    owner: str | None = Field(None, max_length=320)
    status: int | None = Field(None, ge=100, le=999)
    error_code: str = Field("", max_length=100)
    errors: bool = Field(False, description="Only what was refused or failed.")
    would_deny: str = Field(
        "", max_length=100, description="Only what a shadowed rule would have refused: a code, or `any`."
    )
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before.")
    after: str | None = Field(
        None, max_length=200,
        description="To watch: `latest` answers where the log ends now; each `next_cursor` is then the next `after`, "
        "and the rows come oldest first.",
    )  # fmt: skip
    model: str | None = Field(None, max_length=200)
    provider: str | None = Field(None, max_length=200)
    operation: str | None = Field(None, max_length=100, description="For example `chat` or `embeddings`.")


class LogShown(Shown):
    """One request, with the key's name, owner and metadata as they were."""

    request_id: str
    at: Time
    gateway_id: str
    organization: str
    key_id: str = Field(description="Empty where the credential was none of ours.")
    key_name: str
    owner: str
    metadata: Metadata
    client_ip: str
    client_request_id: str
    trace_id: str
    method: str
    path: str
    operation: str
    model: str
    provider: str
    status: int
    error_code: str
    outcome: str
    admitted: bool
    stream: bool
    attempts: int
    would_deny: str = Field(
        description="The code of the rule that would have refused it; the key is shadowed."
    )
    input_tokens: int
    output_tokens: int
    cost_usd: Usd
    latency_ms: int
    first_byte_ms: int | None


class LogListShown(Shown):
    data: list[LogShown]
    next_cursor: Cursor


class AttemptShown(Shown):
    """One row of the ledger: what an attempt used, at which rates, and what it was charged."""

    attempt: int
    kind: Literal["usage", "compensation"]
    provider: str
    model_sent: str
    model_reported: str
    outcome: str
    usage_source: Literal["provider", "partial", "estimated", "none"]
    admitted_at: Time
    settled_at: Time
    period: str
    reserved_usd: Usd
    charged_usd: Usd
    usage: dict[str, int] = Field(description="Units by class; the classes are disjoint.")
    rates: dict[str, int | str] | None = Field(description="Nano-USD per million units; null: unpriced.")


class VerdictShown(Shown):
    rule: str
    verdict: Literal["allow", "deny", "skip"]
    code: str = Field(description="Of the refusal, empty without one.")
    detail: str


class LogDetailShown(LogShown):
    ledger: list[AttemptShown]
    verdicts: list[VerdictShown] = Field(description="What each rule said, in the order of the pipeline.")
    bodies: Literal["shown", "none", "hidden"] = Field(
        description="`none`: not kept. `hidden`: kept; owners and admins may read them, and the key's owner."
    )
    request_body: str | None = Field(
        description="As the client sent it, but without secrets and long base64, 65,536 characters at most; "
        "null: none was read, or `bodies` is not `shown`."
    )
    response_body: str | None = Field(
        description="The same of the answer; a stream as the document that its events make up; "
        "null: the client got none, or `bodies` is not `shown`."
    )


async def list_logs(call: Call[LogListQuery, None]) -> Answer:
    asked = call.query
    return await _list(call, _query(asked))


async def show_log(call: Call[None, None]) -> Answer:
    return Answer(await call.admin.logs.find(call.actor, call.ids["request_id"]))


def _query(asked: LogListQuery) -> LogQuery:
    return LogQuery(
        owner=asked.owner, key_id=asked.key, model=asked.model, provider=asked.provider, operation=asked.operation,
        status=asked.status, error_code=asked.error_code, errors_only=asked.errors, would_deny=asked.would_deny,
        start_ms=asked.from_ or 0, end_ms=asked.to,
    )  # fmt: skip


async def _list(call: Call[Any, None], query: LogQuery) -> Answer:
    asked = call.query
    if asked.after is None:
        page = await call.admin.logs.search(call.actor, query, limit=asked.limit, cursor=asked.cursor)
    elif asked.cursor is None:
        page = await call.admin.logs.follow(call.actor, query, after=asked.after, limit=asked.limit)
    else:
        raise Invalid([FieldError("cursor", "cannot stand together with after; send one of them")])
    return page_answer(page)


OPERATIONS = (
    Operation(
        method="GET", path="/logs", name="listLogs", summary="List requests, the newest first",
        handler=list_logs, query=LogListQuery, answer=LogListShown,
    ),
    Operation(
        method="GET", path="/logs/{request_id}", name="getLog", summary="Show a request with its attempts",
        handler=show_log, answer=LogDetailShown,
    ),
)  # fmt: skip
