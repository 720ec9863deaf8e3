"""The official SDK's client through the gateway to the official SDK's server, in every era that the client knows."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError

from tests.support.in_process import Served, serve
from tests.support.mcp_sdk import make_server, open_client, serve_app
from tests.support.mcp_server import server_toml

pytestmark = pytest.mark.slow
MODES = ["legacy", "auto", "2026-07-28"]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with serve_app(make_server().streamable_http_app()) as origin:
        yield origin


@pytest.fixture
async def served(tmp_path: Path, origin: str) -> AsyncIterator[Served]:
    async with serve(tmp_path, server_toml("sdk", f"{origin}/mcp"), mcp={"enabled": True}) as served:
        yield served


@pytest.mark.parametrize("mode", MODES)
async def test_everything_at_one_server(served: Served, mode: str) -> None:
    async with open_client(f"http://127.0.0.1:{served.port}/mcp/sdk", served.secret, mode) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == ["add", "break_down", "count"]
        assert (await client.call_tool("add", {"a": 2, "b": 3})).structured_content == {"result": 5}
        assert (await client.call_tool("break_down")).is_error
        told: list[float] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            told.append(progress)

        assert not (await client.call_tool("count", {"to": 3}, progress_callback=note)).is_error
        assert told == [1, 2, 3]
        with pytest.raises(MCPError) as caught:
            await client.call_tool("no_such_tool")
        assert caught.value.error.code == -32602
        prompt = await client.get_prompt("greet", {"name": "Ada"})
        assert "Greet Ada." in str(prompt.messages[0].content)
        assert [each.uri for each in (await client.list_resources()).resources] == ["test://motto"]
        assert "less is more" in str((await client.read_resource("test://motto")).contents)


@pytest.mark.parametrize("mode", MODES)
async def test_everything_at_the_endpoint_of_all(served: Served, mode: str) -> None:
    async with open_client(f"http://127.0.0.1:{served.port}/mcp", served.secret, mode) as client:
        assert (await client.list_tools()).tools[0].name == "sdk__add"
        assert (await client.call_tool("sdk__add", {"a": 2, "b": 3})).structured_content == {"result": 5}
        uri = (await client.list_resources()).resources[0].uri
        assert uri == "mcp+sdk+test://motto"
        assert "less is more" in str((await client.read_resource(uri)).contents)
        assert "Ada" in str(await client.get_prompt("sdk__greet", {"name": "Ada"}))
