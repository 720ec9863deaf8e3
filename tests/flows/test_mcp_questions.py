"""What a server asks of a client of the legacy era, through the gateway, with the official SDK on both sides."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.support.in_process import Served, serve
from tests.support.mcp_conformance import make_server
from tests.support.mcp_sdk import open_client, serve_app
from tests.support.mcp_server import server_toml

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with serve_app(make_server().streamable_http_app()) as origin:
        yield origin


@pytest.fixture
async def served(tmp_path: Path, origin: str) -> AsyncIterator[Served]:
    async with serve(tmp_path, server_toml("sdk", f"{origin}/mcp"), mcp={"enabled": True}) as served:
        yield served


async def answer_sampling(
    context: Any, params: types.CreateMessageRequestParams
) -> types.CreateMessageResult:
    content = types.TextContent(type="text", text="a sample")
    return types.CreateMessageResult(role="assistant", content=content, model="m", stop_reason="endTurn")


async def answer_elicitation(context: Any, params: Any) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"response": "an answer"})


@pytest.mark.parametrize(("path", "prefix"), [("/mcp/sdk", ""), ("/mcp", "sdk__")])
@pytest.mark.filterwarnings("ignore")  # the SDK calls what belongs to the legacy era deprecated
async def test_a_client_is_asked_what_it_offered_to_be(served: Served, path: str, prefix: str) -> None:
    url = f"http://127.0.0.1:{served.port}{path}"
    logged: list[Any] = []

    async def note(params: Any) -> None:
        logged.append(params.data)

    callbacks: dict[str, Any] = {
        "sampling_callback": answer_sampling, "elicitation_callback": answer_elicitation, "logging_callback": note,
    }  # fmt: skip
    async with open_client(url, served.secret, "legacy", **callbacks) as client:
        sampled = await client.call_tool(f"{prefix}test_sampling", {"prompt": "x"})
        assert "a sample" in str(sampled.content)
        elicited = await client.call_tool(f"{prefix}test_elicitation", {"message": "x"})
        assert "an answer" in str(elicited.content)
        await client.call_tool(f"{prefix}test_tool_with_logging")
        assert len(logged) == 3
        if not prefix:
            await client.set_logging_level("warning")
            await client.subscribe_resource("test://watched-resource")
            await client.unsubscribe_resource("test://watched-resource")
    async with open_client(url, served.secret, "legacy") as client:
        with pytest.raises(MCPError, match="sampling"):
            await client.call_tool(f"{prefix}test_sampling", {"prompt": "x"})
