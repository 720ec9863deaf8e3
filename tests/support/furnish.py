"""A store with something to see on every page: for pages that are looked at, and with the worst texts that it can hold."""

from dataclasses import replace
from typing import Any

from gateway_proxy.core.clock import Clock
from gateway_proxy.core.ledger import LogRow
from gateway_proxy.core.store import Batch
from gateway_proxy.storage.registry import Gateway
from tests.support.dashboard import OWNER, Dashboard
from tests.support.mcp_facts import McpFacts, changed_tool, server_facts, tool_facts

__all__ = ["HOSTILE", "furnish", "furnish_with_hostile_texts"]

HOSTILE = "<script>hacked=1</script><img src=//evil.example/x onerror=hacked=1>\"'`{{7*7}}&amp;"
_LONG = 10_000
_NAMES = (
    "Production API",
    "Staging API",
    "Support assistant",
    "Data science notebook",
    "CI evaluation",
    "Mobile app",
)


async def furnish(site: Dashboard) -> list[str]:
    """Members, keys in every state, requests, gateways; returns the keys' ids, the first with everything set."""
    await _sign_in(site, "Ada")
    for email, role in (("grace@example.com", "admin"), ("max@example.com", "member")):
        await site.store.registry.add_member("default", email, email.partition("@")[0].title(), role)
    documents: list[dict[str, Any]] = [{"name": name} for name in _NAMES]
    documents[0] |= {
        "expires_in": "90d", "requests_per_minute": 600, "tokens_per_minute": 200_000, "max_parallel_requests": 50,
        "budget_usd": "25.00", "budget_period": "month", "alert_thresholds": [50, 80, 100],
        "allowed_providers": ["openai"], "allowed_models": ["gpt-4o", "claude-3.5-*"], "ip_allowlist": ["10.0.0.0/8"],
        "metadata": {"team": "backend"},
        "mcp": {"enabled": True, "access_mode": "allow_list", "servers": ["github"],
                "tools": {"github": ["search_issues", "create_issue"]}},
    }  # fmt: skip
    documents[1]["budget_usd"] = "10.00"
    ids = [str((await site.admin.keys.create(OWNER, document)).key["id"]) for document in documents]
    await site.admin.keys.deactivate(OWNER, ids[3])
    await site.admin.keys.revoke(OWNER, ids[4])
    await site.store.db.execute("UPDATE keys SET expires_at = 1700000000000 WHERE id = $1", ids[5])
    site.view.counted[ids[0]] = {
        "requests": {"limit": 600, "remaining": 512, "reset_ms": 8800},
        "tokens": {"limit": 200_000, "remaining": 151_233, "reset_ms": 14_000},
        "parallel": {"limit": 50, "used": 3},
        "budget": {"limit_usd": "25.00", "spent_usd": "21.374", "reserved_usd": "0.12", "remaining_usd": "3.506",
                   "resets_at": "2026-12-01T00:00:00Z"},
    }  # fmt: skip
    await _write_logs(site, ids[:3], model="gpt-4o", provider="openai")
    await _add_gateways(site, ("gateway-eu-1", "gateway-eu-2"))
    site.view.facts = McpFacts(_list_tools("search_issues", "create_issue", "list_pull_requests", "merge"))
    return ids


async def furnish_with_hostile_texts(site: Dashboard) -> str:
    """The worst text that each stored field takes; returns the id of the key that has it everywhere."""
    await _sign_in(site, HOSTILE)
    await site.store.registry.add_member("default", '"<b>x</b>"@example.com', HOSTILE * 20, "member")
    words = [f"<img/src=x/onerror=hacked=1>{number}" for number in range(50)]
    made = await site.admin.keys.create(
        OWNER,
        {
            "name": HOSTILE[:128],
            "allowed_models": ["'\"><script>hacked=1</script>", "\u202e*", *words],
            "metadata": {HOSTILE: HOSTILE, "long": "x" * 3000},
            "mcp": {"enabled": True, "tools": {"github": words}},
        },
    )
    key_id = str(made.key["id"])
    await site.admin.keys.create(OWNER, {"name": "W" * 128})
    await _write_logs(site, [key_id], model=HOSTILE, provider=HOSTILE, key_name=HOSTILE)
    await _write_logs(site, [key_id], model="m" * _LONG, client_request_id=HOSTILE * 100, error_code=HOSTILE)
    await _add_gateways(site, (HOSTILE, "g" * 500))
    site.view.facts = McpFacts(_list_tools(HOSTILE, "t" * 500, text=HOSTILE * 20, problem=HOSTILE))
    return key_id


def _list_tools(*names: str, text: str = "", **members: Any) -> dict[str, Any]:
    """A server with these tools, the last of them changed."""
    *known, last = names
    tools = [tool_facts(name, description=text or f"Looks after {name} at the forge.") for name in known]
    changed = changed_tool(last, "blocked") | (
        {"definition": text, "approved_definition": text} if text else {}
    )
    return server_facts(
        "github", *tools, changed, last_error=text or None, last_error_at="2026-11-20T09:00:00Z", **members
    )


async def _sign_in(site: Dashboard, name: str) -> None:
    member = await site.store.registry.add_member("default", OWNER.email, name, "owner")
    site.actor = replace(OWNER, member_id=member.id)


async def _write_logs(site: Dashboard, key_ids: list[str], **fields: Any) -> None:
    now_ms = Clock().now_ms()
    rows = [
        LogRow(**{
            "request_id": f"req_{now_ms}{abs(hash(str(fields))) % 10_000}{index:04}", "at": now_ms - index * 91_000,
            "gateway_id": "gtw_1", "organization": "default", "key_id": key_ids[index % len(key_ids)],
            "key_name": "Production API", "owner": "ada@example.com", "path": "/v1/chat/completions", "operation": "chat",
            "status": 429 if index % 9 == 8 else 200, "error_code": "rate_limit_exceeded" if index % 9 == 8 else "",
            "admitted": index % 9 != 8, "attempts": 1, "input_tokens": 812 + index * 7, "output_tokens": 240 + index,
            "cost_nanos": 2_310_000 + index * 1000, "latency_ms": 640 + index * 13, **fields,
        })
        for index in range(30)
    ]  # fmt: skip
    await site.store.ledger.append("gtw_1", Batch(logs=rows))


async def _add_gateways(site: Dashboard, names: tuple[str, ...]) -> None:
    now_ms = Clock().now_ms()
    for index, name in enumerate(names):
        await site.store.registry.heartbeat(
            Gateway(f"gtw_{index}", name, "default", "0.1.0", now_ms, now_ms, 1000 - 999 * index, "d" * 64)
        )
