"""The server that the conformance suite asks for, on the official SDK: `python -m tests.support.mcp_conformance` prints its URL.

Tools, resources and prompts have the names, arguments and contents that the suite's scenarios expect; see
https://github.com/modelcontextprotocol/conformance.
"""

import asyncio
import base64
import json
import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from pydantic import BaseModel, Field, create_model

from tests.support.mcp_conformance_inputs import add_diagnostics, add_inputs

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
IMAGE = types.ImageContent(type="image", data=PNG, mime_type="image/png")


def make_server() -> MCPServer:
    """Everything that the suite's server scenarios use."""
    server = MCPServer("conformance")
    _add_contents(server)
    _add_conversations(server)
    _add_resources(server)
    _add_prompts(server)
    _add_requests(server)
    add_inputs(server)
    add_diagnostics(server)
    return server


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


def _embedded(uri: str, mime_type: str, text: str) -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


def _add_contents(server: MCPServer) -> None:
    contents: dict[str, list[Any]] = {
        "test_simple_text": [_text("This is a simple text response for testing.")],
        "test_image_content": [IMAGE],
        "test_audio_content": [types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")],
        "test_embedded_resource": [
            _embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
        ],
        "test_multiple_content_types": [
            _text("Multiple content types test:"),
            IMAGE,
            _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ],
    }
    for name, content in contents.items():

        def answer(content: list[Any] = content) -> Any:
            return types.CallToolResult(content=content)

        def tool(answer: Any = answer) -> Any:
            async def run() -> types.CallToolResult:
                result: types.CallToolResult = answer()
                return result

            return run

        server.add_tool(tool(), name=name, description=f"Tests {name[5:]}.")

    @server.tool()
    def test_error_handling() -> str:
        """Fails."""
        raise RuntimeError("This tool intentionally returns an error for testing")


def _add_conversations(server: MCPServer) -> None:
    @server.tool()
    async def test_tool_with_logging(ctx: Context) -> str:
        """Logs while it runs."""
        for what in ("started", "processing data", "completed"):
            await ctx.info(f"Tool execution {what}")
            await asyncio.sleep(0.05)
        return "logged"

    @server.tool()
    async def test_tool_with_progress(ctx: Context) -> str:
        """Reports progress."""
        for progress in (0, 50, 100):
            await ctx.report_progress(progress, 100, f"Completed step {progress} of 100")
            await asyncio.sleep(0.05)
        return "done"

    @server.tool()
    async def test_sampling(prompt: str, ctx: Context) -> str:
        """Asks the client's model."""
        asked = [types.SamplingMessage(role="user", content=_text(prompt))]
        result = await ctx.session.create_message(messages=asked, max_tokens=100)
        return f"LLM response: {getattr(result.content, 'text', '')}"

    class Response(BaseModel):
        response: str = Field(description="User's response")

    @server.tool()
    async def test_elicitation(message: str, ctx: Context) -> str:
        """Asks the client's user."""
        result = await ctx.elicit(message, Response)
        return f"User response: action={result.action}, content={_data(result)}"

    for name, schema in (
        ("test_elicitation_sep1034_defaults", _DEFAULTS),
        ("test_elicitation_sep1330_enums", _ENUMS),
    ):

        def make(schema: Any = schema) -> Any:
            async def run(ctx: Context) -> str:
                result = await ctx.elicit("Please answer", schema)
                return f"Elicitation completed: action={result.action}, content={_data(result)}"

            return run

        server.add_tool(make(), name=name, description=f"Tests {name[5:]}.")


def _data(result: Any) -> str:
    return str(result.data.model_dump_json()) if result.action == "accept" else "{}"


_DEFAULTS = create_model(
    "Defaults",
    name=(str, Field(default="John Doe")),
    age=(int, Field(default=30)),
    score=(float, Field(default=95.5)),
    status=(str, Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})),
    verified=(bool, Field(default=True)),
)
_TITLED = [{"const": value, "title": value.title()} for value in ("one", "two", "three")]
_ENUMS = create_model(
    "Enums",
    untitledSingle=(str, Field(json_schema_extra={"enum": ["a", "b", "c"]})),
    titledSingle=(str, Field(json_schema_extra={"oneOf": _TITLED})),
    untitledMulti=(
        list[str],
        Field(json_schema_extra={"items": {"type": "string", "enum": ["a", "b", "c"]}}),
    ),
    titledMulti=(list[str], Field(json_schema_extra={"items": {"anyOf": _TITLED}})),
    legacyEnum=(str, Field(json_schema_extra={"enum": ["x", "y"], "enumNames": ["The X", "The Y"]})),
)


def _add_resources(server: MCPServer) -> None:
    server.resource("test://static-text", mime_type="text/plain")(
        _returns("static_text", "This is the content of the static text resource.")
    )
    server.resource("test://static-binary", mime_type="image/png")(
        _returns("static_binary", base64.b64decode(PNG))
    )
    server.resource("test://watched-resource", mime_type="text/plain")(_returns("watched", "watched"))

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """By its id."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _returns(name: str, value: Any) -> Any:
    def read() -> Any:
        return value

    read.__name__ = name
    return read


def _add_prompts(server: MCPServer) -> None:
    @server.prompt()
    def test_simple_prompt() -> list[Message]:
        """Without arguments."""
        return [UserMessage(_text("This is a simple prompt for testing."))]

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[Message]:
        """With two."""
        return [UserMessage(_text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
        """With a resource in it."""
        embedded = _embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(embedded), UserMessage(_text("Please process the embedded resource above."))]

    @server.prompt()
    def test_prompt_with_image() -> list[Message]:
        """With a picture in it."""
        return [UserMessage(IMAGE), UserMessage(_text("Please analyze the image above."))]


def _add_requests(server: MCPServer) -> None:
    @server.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> types.Completion:
        return types.Completion(values=["one", "two"], total=2, has_more=False)

    async def accept(context: Any, params: Any) -> types.EmptyResult:
        return types.EmptyResult()

    inner = server._lowlevel_server
    for method, params in (
        ("logging/setLevel", types.SetLevelRequestParams),
        ("resources/subscribe", types.SubscribeRequestParams),
        ("resources/unsubscribe", types.UnsubscribeRequestParams),
    ):
        inner.add_request_handler(method, params, accept)


async def main() -> None:
    """Serve until standard input ends."""
    config = uvicorn.Config(make_server().streamable_http_app(), host="127.0.0.1", port=0, log_level="error")
    serving = uvicorn.Server(config)
    task = asyncio.ensure_future(serving.serve())
    while not serving.started:
        await asyncio.sleep(0.01)
    port = serving.servers[0].sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/mcp", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    serving.should_exit = True
    await task


if __name__ == "__main__":
    asyncio.run(main())
