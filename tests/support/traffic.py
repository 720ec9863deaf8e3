"""Requests and attempts in the books of a dashboard under test."""

from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LedgerRow, LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.core.usage import Rates, Usage
from gateway_proxy.storage import Store


async def add_request(
    store: Store, request_id: str, *, ago_seconds: int = 0, cost_nanos: int = 10**9, **changes: Any
) -> None:
    """One request of Ada's key that went well, unless `changes` (members of its log row) say otherwise."""
    at = Clock().now_ms() - ago_seconds * 1000
    log = LogRow(
        **{
            "request_id": request_id, "at": at, "gateway_id": "gtw_1", "organization": "default", "key_id": "key_ada",
            "key_name": "Production", "owner": "ada@example.com", "metadata_json": '{"team":"backend"}', "model": "gpt-4o",
            "provider": "openai", "path": "/v1/chat/completions", "status": 200, "outcome": "completed", "admitted": True,
            "attempts": 1, "input_tokens": 12, "output_tokens": 34, "cost_nanos": cost_nanos, "latency_ms": 900,
            "first_byte_ms": 300, **changes,
        }
    )  # fmt: skip
    ledger = []
    if log.admitted:
        ledger.append(
            LedgerRow(
                request_id=request_id,
                attempt=1,
                gateway_id="gtw_1",
                organization=log.organization,
                key_id=log.key_id,
                owner=log.owner,
                provider=log.provider,
                model_requested=log.model,
                model_sent="gpt-4o-2024-08-06",
                operation="chat",
                admitted_at=at,
                settled_at=at + 900,
                charged_nanos=cost_nanos,
                outcome="completed",
                usage_source="provider",
                usage=Usage(input=10, cached_input=2, output=34),
                rates=Rates(input=1, source="table"),
            )
        )
    await store.ledger.append("gtw_1", Batch(logs=[log], ledger=ledger))
