"""What the conformance suite asks of a server of revision 2026-07-28 besides: input of the client as part of results, capabilities
that a call needs, headers that repeat arguments, and schemas with every keyword.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import mcp_types as types
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from pydantic import Field

Requests = Mapping[str, Mapping[str, Any]]
Asked = types.CallToolResult | types.InputRequiredResult

_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


_OF_TASKS = (
    "greet", "slow_compute", "failing_job", "protocol_error_job", "confirm_delete", "multi_input", "test_tool_with_task",
)  # fmt: skip


def _elicit(message: str, name: str, kind: str = "string") -> dict[str, Any]:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def _sample(text: str) -> dict[str, Any]:
    asked = {"role": "user", "content": {"type": "text", "text": text}}
    return {"method": "sampling/createMessage", "params": {"messages": [asked], "maxTokens": 100}}


_NAME = {"user_name": _elicit("What is your name?", "name")}
_ROOTS = {"client_roots": {"method": "roots/list", "params": {}}}
_CONFIRM = {"confirm": _elicit("Please confirm", "ok", "boolean")}
_ROUNDS: dict[str, list[Requests]] = {
    "elicitation": [_NAME],
    "sampling": [{"capital_question": _sample("What is the capital of France?")}],
    "list_roots": [_ROOTS],
    "request_state": [_CONFIRM],
    "tampered_state": [_CONFIRM],
    "multiple_inputs": [{**_NAME, "greeting": _sample("Generate a greeting"), **_ROOTS}],
    "multi_round": [{"step1": _elicit("Your name?", "name")}, {"step2": _elicit("Your color?", "color")}],
}
"""Tool → what it asks for in each of its rounds."""
_STATEFUL = {"request_state", "tampered_state", "multiple_inputs", "multi_round"}


def add_inputs(server: MCPServer) -> None:
    """Tools and a prompt that ask before they answer."""
    for name, rounds in _ROUNDS.items():
        server.add_tool(
            _asking(rounds, name in _STATEFUL),
            name=f"test_input_required_result_{name}",
            description="Asks first.",
        )

    @server.tool()
    async def test_input_required_result_capabilities(ctx: Context) -> Asked:
        """Asks for what the client says it can do."""
        able = ctx.client_capabilities
        requests: dict[str, Mapping[str, Any]] = {}
        if able is not None and able.sampling is not None:
            requests["greeting"] = _sample("Generate a greeting")
        if able is not None and able.elicitation is not None:
            requests |= _NAME
        return _ask(requests) if requests and not ctx.input_responses else _say("nothing to ask")

    @server.prompt()
    async def test_input_required_result_prompt(ctx: Context) -> Any:
        """Asks for its context."""
        if ctx.input_responses and "user_context" in ctx.input_responses:
            return [UserMessage(types.TextContent(type="text", text=str(ctx.input_responses)))]
        return _ask({"user_context": _elicit("What context should the prompt use?", "context")})


def _asking(rounds: list[Requests], stateful: bool) -> Any:
    async def run(ctx: Context) -> Asked:
        number = int(ctx.request_state or 0)
        answers = ctx.input_responses or {}
        if number < len(rounds) and rounds[number].keys() <= answers.keys():
            number += 1
        if number < len(rounds):
            return _ask(rounds[number], str(number) if stateful else None)
        return _say(f"state-ok: {sorted(answers)}")

    return run


def _ask(requests: Requests, state: str | None = None) -> types.InputRequiredResult:
    members = {"inputRequests": requests} | ({} if state is None else {"requestState": state})
    return types.InputRequiredResult.model_validate(members)


def _say(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)])


def add_diagnostics(server: MCPServer) -> None:
    """Tools by which the suite sees what a server does on the wire."""

    @server.tool()
    async def test_missing_capability(ctx: Context) -> str:
        """Needs a client that has a model."""
        if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
            raise MCPError(
                types.MISSING_REQUIRED_CLIENT_CAPABILITY,
                "The client has no model.",
                {"requiredCapabilities": {"sampling": {}}},
            )
        return "sampling is there"

    @server.tool()
    async def test_streaming_elicitation(ctx: Context) -> Asked:
        """Asks as part of its result, on a stream."""
        await ctx.report_progress(1, 2)
        return _say("asked") if ctx.input_responses else _ask(_NAME)

    @server.tool()
    async def test_logging_tool(ctx: Context) -> str:
        """Logs to a client that wants to hear it."""
        await ctx.info("a line")
        return "logged"

    @server.tool()
    def test_custom_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    ) -> str:
        """Repeats an argument in a header."""
        return region

    def answer_at_once() -> str:
        return "done"

    for name in _OF_TASKS:  # an extension that neither the SDK nor the gateway has: these answer as others do
        server.add_tool(answer_at_once, name=name, description="Answers at once.")

    @server.tool()
    def json_schema_2020_12_tool() -> str:
        """Tool with JSON Schema 2020-12 features"""
        return "done"

    tool = server._tool_manager.get_tool("json_schema_2020_12_tool")
    assert tool is not None
    tool.parameters = _SCHEMA
