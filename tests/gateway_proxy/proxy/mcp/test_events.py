"""What a server says while a call runs."""

from tests.support.mcp_server import WHOLE
from tests.support.mcp_world import World


async def test_what_a_server_says_before_its_answer_comes_as_events(world: World) -> None:
    for path in ("/mcp/new", "/mcp/old"):
        told = await world.client(path).ask("tools/call", name="tell", _meta={"progressToken": "t"})
        assert (
            told.headers["Content-Type"] == "text/event-stream" and told.headers["X-Accel-Buffering"] == "no"
        )
        assert [each["params"] for each in told.before] == [{"progressToken": "t", "progress": 1}]
        assert told.result == {**WHOLE, "resultType": "complete"}
