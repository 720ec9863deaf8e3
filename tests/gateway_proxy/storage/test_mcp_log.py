"""The MCP log in the store: filters, pages, retention."""

from typing import Any

import pytest

from gateway_proxy.storage import Store
from gateway_proxy.storage.mcp_log import McpLogQuery
from tests.support.mcp_rows import make_row


@pytest.fixture
async def filled(store: Store) -> Store:
    rows = [
        make_row("r1", 1),
        make_row("r2", 2, status="denied", rule="tools", tool="delete"),
        make_row("r3", 2, status="error", server="jira", owner="eve@example.com", key_id="key_b"),
        make_row("r4", 3, organization="other", method="prompts/get"),
    ]
    await store.mcp_log.add(rows)
    await store.mcp_log.add(rows[:1])
    return store


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "r4 r3 r2 r1"),
        ({"organization": "default"}, "r3 r2 r1"),
        ({"key_id": "key_b"}, "r3"),
        ({"owner": "ada@example.com", "organization": "default"}, "r2 r1"),
        ({"server": "github", "tool": "search"}, "r4 r1"),
        ({"method": "prompts/get"}, "r4"),
        ({"status": "denied"}, "r2"),
        ({"status": "failures"}, "r3 r2"),
        ({"start_ms": 2, "end_ms": 3}, "r3 r2"),
    ],
)
async def test_filters(filled: Store, members: dict[str, Any], expected: str) -> None:
    page = await filled.mcp_log.search(McpLogQuery(**members))
    assert " ".join(row.request_id for row in page.rows) == expected and page.next_cursor is None


async def test_pages_go_on_where_the_last_one_ended(filled: Store) -> None:
    seen, cursor = [], None
    while True:
        page = await filled.mcp_log.search(McpLogQuery(), limit=1, cursor=cursor)
        seen += [row.request_id for row in page.rows]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == ["r4", "r3", "r2", "r1"]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "x.r1", "9" * 19 + ".r1", "1." + "r" * 65])
async def test_other_cursors_are_refused(filled: Store, cursor: str) -> None:
    with pytest.raises(ValueError, match="not one that the log gave out"):
        await filled.mcp_log.search(McpLogQuery(), cursor=cursor)


async def test_old_rows_go_in_steps(filled: Store) -> None:
    assert await filled.mcp_log.prune(3, limit=2) == 2
    assert await filled.mcp_log.prune(3) == 1
    assert [row.request_id for row in (await filled.mcp_log.search(McpLogQuery())).rows] == ["r4"]
