"""`/keys`. Documents are judged by the key service itself, whose words for mistakes are the better ones."""

from typing import Any, Literal

from pydantic import Field

from gateway_proxy.admin.api.logs import VerdictShown
from gateway_proxy.admin.api.operation import Answer, Call, Operation
from gateway_proxy.admin.api.shapes import Asked, Cursor, ListQuery, Metadata, Nothing, Shown, Time, Usd
from gateway_proxy.admin.keys import KeySecret
from gateway_proxy.core.key import BudgetPeriod, McpMode
from gateway_proxy.keys.service import MAX_GRACE_SECONDS
from gateway_proxy.keys.signing import MAX_TTL_SECONDS
from gateway_proxy.storage.key_search import KeyQuery, KeySort, KindFilter, StatusFilter

Endpoint = Literal[
    "chat", "completions", "responses", "embeddings", "moderations", "images", "audio", "rerank", "messages", "gemini", "mcp",
]  # fmt: skip

AskedEndpoint = Literal[
    "chat", "completions", "responses", "embeddings", "moderations", "images", "audio", "rerank", "messages", "gemini",
]  # fmt: skip


class KeyListQuery(ListQuery):
    search: str = Field("", max_length=200, description="Part of the name or of the preview.")
    status: StatusFilter = "all"
    sort: KeySort = "created_at"
    kind: KindFilter = "all"
    owner: str | None = Field(None, max_length=320, description="Only keys of this owner.")
    parent_id: str | None = Field(
        None, max_length=64, description="Only the tokens that were made from this key."
    )


class McpPatch(Asked):
    """Which MCP servers and tools; a merge patch in a patch."""

    enabled: bool | None = None
    access_mode: McpMode | None = None
    servers: list[str] | None = None
    tools: dict[str, list[str] | None] | None = Field(
        None, description="Tools by server; a server without an entry allows all of its tools."
    )


class KeyPatch(Asked):
    """A merge patch (RFC 7396): what is absent stays, null clears. A limit of null is none, 0 lets nothing pass."""

    name: str | None = Field(None, max_length=200, examples=["Production API"])
    owner: str | None = Field(
        None, description="A member's e-mail; others than oneself need an owner or admin."
    )
    expires_in: Literal["never", "30d", "60d", "90d", "180d", "1y"] | None = None
    expires_at: Time | None = None
    requests_per_minute: int | None = Field(None, ge=0)
    tokens_per_minute: int | None = Field(None, ge=0)
    burst: int | None = Field(
        None,
        ge=0,
        description="Capacity of the requests bucket, of the tokens bucket where only tokens are limited; null: the limit.",
    )
    max_parallel_requests: int | None = Field(None, ge=0)
    budget_usd: str | int | None = Field(
        None, description="A hard cap in USD: a decimal string or a whole number.", examples=["25.00"]
    )
    budget_period: BudgetPeriod | None = None
    budget_timezone: str | None = Field(None, examples=["UTC", "Europe/Berlin"])
    alert_thresholds: list[int] | None = Field(None, examples=[[50, 80, 100]])
    allowed_providers: list[str] | None = Field(None, description="null: all; empty: none.")
    allowed_models: list[str] | None = Field(None, description="Exact names, or a prefix and a final `*`.")
    allowed_endpoints: list[Endpoint] | None = None
    ip_allowlist: list[str] | None = Field(None, examples=[["192.168.1.0/24", "10.0.0.1"]])
    metadata: Metadata | None = Field(None, description="A JSON object of at most 4 KiB.")
    strict: bool | None = Field(None, description="Refuse the key sooner while the store is out of reach.")
    shadow: bool | None = Field(
        None, description="Judge limits and scopes, log what they would refuse, and refuse nothing."
    )
    mcp: McpPatch | None = None


class KeyCreation(KeyPatch):
    """A new key; what is absent is not limited."""

    name: str = Field(min_length=1, max_length=200, examples=["Production API"])
    ephemeral: bool | None = Field(
        None,
        description="A token that ends after `ttl_seconds`, in place of a lasting key; it cannot be changed.",
    )
    ttl_seconds: int | None = Field(
        None, ge=1, le=MAX_TTL_SECONDS, description="How long an ephemeral token lives; 3600 if absent."
    )


class KeyImport(KeyCreation):
    """A new key under an id of one's own choosing."""

    id: str = Field(pattern="^key_[0-9a-hjkmnp-tv-z]{26}$")


class Rotation(Asked):
    grace_seconds: int = Field(
        0, ge=0, le=MAX_GRACE_SECONDS, description="How long the old secret stays valid."
    )


class TokenAsked(Asked):
    """What a token may, at most what its key may: a list that is absent is the key's, and both pay."""

    name: str | None = Field(None, max_length=200, description="The key's and `(ephemeral)` if absent.")
    ttl_seconds: int | None = Field(
        None, ge=1, le=MAX_TTL_SECONDS, description="3600 if absent; never beyond the expiry of the key."
    )
    requests_per_minute: int | None = Field(None, ge=0)
    tokens_per_minute: int | None = Field(None, ge=0)
    burst: int | None = Field(None, ge=0)
    max_parallel_requests: int | None = Field(None, ge=0)
    budget_usd: str | int | None = Field(
        None, description="What the token may spend of the key's.", examples=["0.50"]
    )
    allowed_providers: list[str] | None = None
    allowed_models: list[str] | None = None
    allowed_endpoints: list[Endpoint] | None = None
    ip_allowlist: list[str] | None = None
    mcp: McpPatch | None = None


class TokenMade(Shown):
    """An ephemeral token, in this answer only."""

    id: str
    token: str
    expires_at: Time
    parent_id: str | None


class LiveOnShown(Shown):
    """How far the last change has come."""

    gateways: int = Field(description="Gateways that are attached.")
    acked: int = Field(description="Those of them that have applied it.")


class McpShown(Shown):
    enabled: bool
    access_mode: McpMode
    servers: list[str]
    tools: dict[str, list[str]]


class KeyShown(Shown):
    """A key. `requests`, `usage_percent` and spend lag up to 5 seconds."""

    id: str
    kind: Literal["key", "ephemeral"]
    parent_id: str | None
    organization: str
    preview: str
    status: Literal["active", "inactive", "expired", "revoked"]
    created_at: Time
    name: str
    owner: str
    expires_at: Time | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    burst: int | None
    max_parallel_requests: int | None
    budget_usd: Usd | None
    budget_period: BudgetPeriod
    budget_timezone: str
    alert_thresholds: list[int]
    allowed_providers: list[str] | None
    allowed_models: list[str] | None
    allowed_endpoints: list[str] | None
    ip_allowlist: list[str] | None
    metadata: Metadata
    strict: bool
    shadow: bool
    mcp: McpShown
    last_used_at: Time | None
    requests: int
    usage_percent: float = Field(description="Its share of the requests of all keys that you may see.")
    spent_usd: Usd
    reserved_usd: Usd
    revision: int
    live_on: LiveOnShown


class ExplainQuestion(Asked):
    """A request as the key might send it: the smallest of its endpoint."""

    model: str = Field(min_length=1, max_length=200, examples=["gpt-4o"])
    endpoint: AskedEndpoint | None = Field(
        None, description="`chat` without; calls of MCP tools are judged by `mcp_tool`."
    )
    ip: str | None = Field(None, max_length=64, examples=["10.0.0.1"])
    provider: str | None = Field(None, description="Only the model's target at this provider.")
    mcp_tool: str | None = Field(None, examples=["github/search_issues"])


class ExplanationShown(Shown):
    """The first refusal among the verdicts is the one that a client would see."""

    allowed: bool
    verdicts: list[VerdictShown]


class KeyListShown(Shown):
    data: list[KeyShown]
    next_cursor: Cursor


class KeySecretShown(Shown):
    """The secret is in this answer only."""

    key: KeyShown
    secret: str


async def list_keys(call: Call[KeyListQuery, None]) -> Answer:
    asked = call.query
    found = await call.admin.keys.search(
        call.actor,
        KeyQuery(
            owner=asked.owner, parent_id=asked.parent_id, kind=asked.kind, search=asked.search, status=asked.status,
            sort=asked.sort,
            descending=asked.order == "desc", limit=asked.limit, cursor=asked.cursor,
        ),
    )  # fmt: skip
    return Answer({"data": found.keys, "next_cursor": found.next_cursor})


async def create_key(call: Call[None, Any]) -> Answer:
    return _secret_answer(await call.admin.keys.create(call.actor, call.body))


async def import_key(call: Call[None, Any]) -> Answer:
    return _secret_answer(await call.admin.keys.import_one(call.actor, call.body))


async def show_key(call: Call[None, None]) -> Answer:
    return _key_answer(await call.admin.keys.find(call.actor, call.ids["key_id"]))


async def update_key(call: Call[None, Any]) -> Answer:
    return _key_answer(
        await call.admin.keys.update(call.actor, call.ids["key_id"], call.body, call.revisions)
    )


async def delete_key(call: Call[None, None]) -> Answer:
    await call.admin.keys.delete(call.actor, call.ids["key_id"], call.revisions)
    return Answer()


async def rotate_key(call: Call[None, Any]) -> Answer:
    return _secret_answer(
        await call.admin.keys.rotate(call.actor, call.ids["key_id"], call.body, call.revisions)
    )


async def mint_token(call: Call[None, Any]) -> Answer:
    return Answer(await call.admin.keys.mint(call.actor, call.ids["key_id"], call.body))


async def deactivate_key(call: Call[None, Nothing]) -> Answer:
    return _key_answer(await call.admin.keys.deactivate(call.actor, call.ids["key_id"], call.revisions))


async def activate_key(call: Call[None, Nothing]) -> Answer:
    return _key_answer(await call.admin.keys.activate(call.actor, call.ids["key_id"], call.revisions))


async def revoke_key(call: Call[None, Nothing]) -> Answer:
    return _key_answer(await call.admin.keys.revoke(call.actor, call.ids["key_id"], call.revisions))


async def explain_key(call: Call[None, Any]) -> Answer:
    return Answer(await call.admin.explain.explain(call.actor, call.ids["key_id"], call.body))


def _key_answer(shown: dict[str, Any]) -> Answer:
    return Answer(shown, revision=shown["revision"])


def _secret_answer(made: KeySecret) -> Answer:
    return Answer({"key": made.key, "secret": made.secret}, revision=made.key["revision"])


OPERATIONS = (
    Operation(
        method="GET", path="/keys", name="listKeys", summary="List keys",
        handler=list_keys, query=KeyListQuery, answer=KeyListShown,
    ),
    Operation(
        method="POST", path="/keys", name="createKey", summary="Create a key; its secret is in the answer, once",
        handler=create_key, body=KeyCreation, judged_by_service=True, answer=KeySecretShown, status=201, idempotent=True,
    ),
    Operation(
        method="POST", path="/keys/import", name="importKey",
        summary="Create a key under a given id, so that an import can be repeated; gateways are not waited for",
        handler=import_key, body=KeyImport, judged_by_service=True, answer=KeySecretShown, status=201, conflicts=True,
    ),
    Operation(
        method="GET", path="/keys/{key_id}", name="getKey", summary="Show a key",
        handler=show_key, answer=KeyShown,
    ),
    Operation(
        method="PATCH", path="/keys/{key_id}", name="updateKey", summary="Change a key by a merge patch",
        handler=update_key, body=KeyPatch, judged_by_service=True, answer=KeyShown, if_match=True,
    ),
    Operation(
        method="DELETE", path="/keys/{key_id}", name="deleteKey",
        summary="End a key and its running requests for good; its usage stays",
        handler=delete_key, status=204, if_match=True,
    ),
    Operation(
        method="POST", path="/keys/{key_id}/rotate", name="rotateKey",
        summary="Give a key a new secret; the old one ends now or after a grace",
        handler=rotate_key, body=Rotation, body_optional=True, judged_by_service=True, answer=KeySecretShown,
        status=201, if_match=True, idempotent=True,
    ),
    Operation(
        method="POST", path="/keys/{key_id}/ephemeral", name="mintToken",
        summary="Make a short-lived token from a key, with narrower scopes and limits",
        handler=mint_token, body=TokenAsked, body_optional=True, judged_by_service=True, answer=TokenMade,
        status=201, conflicts=True, idempotent=True,
    ),
    Operation(
        method="POST", path="/keys/{key_id}/deactivate", name="deactivateKey",
        summary="Pause a key: running requests finish",
        handler=deactivate_key, body=Nothing, body_optional=True, answer=KeyShown, if_match=True,
    ),
    Operation(
        method="POST", path="/keys/{key_id}/activate", name="activateKey", summary="End a pause or a revocation",
        handler=activate_key, body=Nothing, body_optional=True, answer=KeyShown, if_match=True, conflicts=True,
    ),
    Operation(
        method="POST", path="/keys/{key_id}/revoke", name="revokeKey",
        summary="Answer a leak: running requests end too",
        handler=revoke_key, body=Nothing, body_optional=True, answer=KeyShown, if_match=True,
    ),
    Operation(
        method="POST", path="/keys/{key_id}/explain", name="explainKey",
        summary="Tell what each rule would say to a request of this key; nothing is taken from its limits",
        handler=explain_key, body=ExplainQuestion, judged_by_service=True, answer=ExplanationShown, asks_gateway=True,
    ),
)  # fmt: skip
