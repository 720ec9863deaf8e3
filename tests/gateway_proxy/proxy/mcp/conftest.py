"""A gateway with MCP servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.mcp_world import World, open_world


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("gateway_proxy.app.winding_down.SETTLE_SECONDS", 0)
    async with open_world(tmp_path) as world:
        yield world
