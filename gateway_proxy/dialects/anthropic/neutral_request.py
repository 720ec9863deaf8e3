"""Messages requests to the neutral form and back.

Marks for caches get lost where the other dialect caches by itself, and thoughts of earlier turns where it has no place for them.
"""

import re
from typing import Any

import orjson

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects.anthropic import models
from gateway_proxy.dialects.anthropic.messages import LEAST_THINKING_TOKENS, understand
from gateway_proxy.dialects.members import wrong_type
from gateway_proxy.dialects.neutral import reading
from gateway_proxy.dialects.neutral.request import (
    EFFORTS,
    Call,
    Format,
    Inexpressible,
    Media,
    Part,
    Request,
    Result,
    Text,
    Thinking,
    Tool,
    Turn,
)

MEMBERS = {
    "choice": "tool_choice", "parallel": "tool_choice.disable_parallel_tool_use", "stop": "stop_sequences",
    "format": "output_config.format", "effort": "output_config.effort", "thinking_tokens": "thinking.budget_tokens",
    "user": "metadata.user_id", "tier": "service_tier", "turns": "messages",
}  # fmt: skip
_READ = frozenset(
    (
        "model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_k", "top_p", "metadata", "tools",
        "tool_choice", "thinking", "service_tier", "output_config", "output_format",
    )
)  # fmt: skip
_HINTS = frozenset(("cache_control",))
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "speed": ("standard",),
    "inference_geo": ("global",),
    "mcp_servers": ([],),
}
_KNOWN = _READ | _HINTS
_CHOICES = ("auto", "none", "any", "tool")
_TOOL_MEMBERS = frozenset(
    ("type", "name", "description", "input_schema", "cache_control", "strict", "eager_input_streaming", "allowed_callers")
)  # fmt: skip
_OUTSIDE_ID = re.compile(r"[^a-zA-Z0-9_-]")
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 24576, "max": 32000}
_DOCUMENTS = ("application/pdf",)


def read_request(route: Route) -> Request:
    """Raises Inexpressible, and BadExchange (invalid_type)."""
    body: dict[str, Any] = route.body
    if not body.keys() <= _KNOWN:
        others = {name: v for name, v in body.items() if v not in _HARMLESS.get(name, ())}
        if _clears_thinking_only(body.get("context_management")):
            del others["context_management"]  # no thoughts of earlier turns are told anyway
        reading.refuse_others(others, _KNOWN)
    if body["max_tokens"] < 1:
        raise Inexpressible("max_tokens", "only Anthropic takes a request for no tokens at all")
    request = Request(
        tools=[_read_tool(tool, f"tools.{i}") for i, tool in enumerate(body.get("tools") or ())],
        max_tokens=body["max_tokens"],
        temperature=reading.take_number(body, "temperature"),
        top_p=reading.take_number(body, "top_p"),
        top_k=reading.take_integer(body, "top_k"),
        stream=route.stream,
    )
    words = reading.take_list(body.get("stop_sequences"), "stop_sequences")
    request.stop = [reading.take_text(word, "stop_sequences") for word in words]
    if body.get("metadata") is not None:
        metadata = reading.take_object(body["metadata"], "metadata")
        reading.refuse_others(metadata, {"user_id"}, "metadata.")
        user = metadata.get("user_id")
        request.user = None if user is None else reading.take_text(user, "metadata.user_id")
    _read_choice(body.get("tool_choice"), request)
    _read_thinking(body, request)
    tier = body.get("service_tier")
    if tier not in (None, "auto", "standard_only"):
        raise Inexpressible("service_tier", "the tiers of another provider are others")
    request.tier = "standard" if tier == "standard_only" else None
    request.system = [_only_text(part, "system") for part in _read_content(body.get("system"), "system")]
    for i, message in enumerate(body["messages"]):
        reading.refuse_others(message, {"role", "content"}, f"messages.{i}.")
        parts = _read_content(message.get("content"), f"messages.{i}.content")
        role = message.get("role")
        if role == "system":
            request.system += [_only_text(part, f"messages.{i}.content") for part in parts]
        elif role in ("user", "assistant"):
            request.turns.append(Turn(role, parts))
        else:
            raise wrong_type(f"messages.{i}.role", "'user' or 'assistant'")
    return request


def _clears_thinking_only(management: Any) -> bool:
    if (
        type(management) is not dict
        or management.keys() != {"edits"}
        or type(management["edits"]) is not list
    ):
        return False
    return all(
        type(edit) is dict and str(edit.get("type")).startswith("clear_thinking_")
        for edit in management["edits"]
    )


def _read_choice(value: Any, request: Request) -> None:
    if value is None:
        return
    kind = reading.take_object(value, "tool_choice").get("type")
    if kind not in _CHOICES:
        raise wrong_type("tool_choice.type", "'auto', 'any', 'tool' or 'none'")
    request.choice = kind
    if kind == "tool":
        request.chosen = reading.take_text(value.get("name"), "tool_choice.name")
    alone = reading.take_flag(value, "disable_parallel_tool_use")
    request.parallel = None if alone is None else not alone


def _read_thinking(body: dict[str, Any], request: Request) -> None:
    thinking = body.get("thinking")
    if thinking is not None and reading.take_object(thinking, "thinking").get("type") == "enabled":
        request.thinking_tokens = reading.take_integer(thinking, "budget_tokens")
    config = reading.take_object(body.get("output_config") or {}, "output_config")
    reading.refuse_others(config, {"effort", "format"}, "output_config.")
    effort = config.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise wrong_type("output_config.effort", f"one of {', '.join(EFFORTS)}")
    request.effort = effort
    wanted = config.get("format") or body.get("output_format")
    if wanted is not None:
        told = reading.take_object(wanted, "output_config.format")
        if told.get("type") != "json_schema":
            raise wrong_type("output_config.format.type", "'json_schema'")
        request.format = Format(reading.take_object(told.get("schema"), "output_config.format.schema"))


def _read_tool(tool: dict[str, Any], where: str) -> Tool:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        raise Inexpressible(where, f"only Anthropic has the tool {str(kind)[:64]!r}")
    others = {name: v for name, v in tool.items() if not (name == "defer_loading" and v is False)}
    reading.refuse_others(others, _TOOL_MEMBERS, where + ".")
    if tool.get("allowed_callers") not in (None, ["direct"]):
        raise Inexpressible(where + ".allowed_callers", "only Anthropic calls tools from code")
    return Tool(
        reading.take_text(tool.get("name"), where + ".name"),
        reading.take_text(tool.get("description") or "", where + ".description"),
        reading.take_object(tool.get("input_schema"), where + ".input_schema"),
        reading.take_flag(tool, "strict") is True,
        tool.get("cache_control"),
    )


def _read_content(content: Any, where: str) -> list[Part]:
    if content is None:
        return []
    if type(content) is str:
        return [Text(content)]
    return [_read_block(block, f"{where}.{i}") for i, block in enumerate(reading.take_list(content, where))]


def _read_block(block: Any, where: str) -> Part:
    kind = reading.take_object(block, where).get("type")
    cache = block.get("cache_control")
    if kind == "text":
        if block.get("citations"):
            raise Inexpressible(where + ".citations", "only Anthropic has citations")
        return Text(reading.take_text(block.get("text"), where + ".text"), cache)
    if kind == "tool_use":
        arguments = reading.take_object(block.get("input"), where + ".input")
        call_id = reading.take_text(block.get("id"), where + ".id")
        return Call(call_id, reading.take_text(block.get("name"), where + ".name"), arguments, cache=cache)
    if kind == "tool_result":
        call_id = reading.take_text(block.get("tool_use_id"), where + ".tool_use_id")
        parts = _read_content(block.get("content"), where + ".content")
        kept = [part for part in parts if isinstance(part, Text | Media)]
        if len(kept) < len(parts):
            raise wrong_type(where + ".content", "text, pictures and documents")
        return Result(call_id, kept, block.get("is_error") is True, cache)
    if kind in ("image", "document"):
        return _read_media(block, kind, where)
    if kind == "thinking":
        return Thinking(str(block.get("thinking") or ""), str(block.get("signature") or ""))
    if kind == "redacted_thinking":
        return Thinking(redacted=str(block.get("data") or ""))
    raise Inexpressible(where, f"a block of the type {str(kind)[:64]!r} has no counterpart there")


def _read_media(block: dict[str, Any], kind: str, where: str) -> Media | Text:
    reading.refuse_others(block, {"type", "source", "cache_control", "title"}, where + ".")
    source = reading.take_object(block.get("source"), where + ".source")
    held = source.get("type")
    name = str(block.get("title") or "")
    cache = block.get("cache_control")
    if held == "url":
        url = reading.take_text(source.get("url"), where + ".source.url")
        return Media("image/*" if kind == "image" else "application/pdf", url=url, name=name, cache=cache)
    if held == "base64":
        media_type = reading.take_text(source.get("media_type"), where + ".source.media_type").lower()
        return Media(
            media_type, reading.take_text(source.get("data"), where + ".source.data"), name=name, cache=cache
        )
    if held == "text" and kind == "document":
        return Text(reading.take_text(source.get("data"), where + ".source.data"), cache)
    raise Inexpressible(
        where + ".source", f"a source of the type {str(held)[:64]!r} has no counterpart there"
    )


def _only_text(part: Part, where: str) -> Text:
    if type(part) is Text:
        return part
    raise BadExchange(f"{where!r} may hold text only.", code="invalid_type", param=where)


def write_request(request: Request, model: str) -> Route:
    """The route as `identify` would make it. Raises Inexpressible."""
    for name in ("seed", "presence_penalty", "frequency_penalty"):
        if getattr(request, name) is not None:
            raise Inexpressible(name, "Anthropic's API has no such member")
    if request.temperature is not None and not 0 <= request.temperature <= 1:
        raise Inexpressible("temperature", "Anthropic's API takes 0 to 1")
    max_tokens = request.max_tokens or models.default_max_tokens(model)
    body: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    messages = [{"role": turn.role, "content": _write_content(turn.parts)} for turn in request.turns]
    body["messages"] = [said for said in messages if said["content"] or said["role"] == "user"]
    system = _write_content(list(request.system))
    if system:
        body["system"] = system
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.stream:
        body["stream"] = True
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    if request.tier is not None:
        body["service_tier"] = "standard_only"
    if request.tools:
        body["tools"] = [_write_tool(tool) for tool in request.tools]
        choice = _write_choice(request)
        if choice is not None:
            body["tool_choice"] = choice
    if request.format is not None:
        if request.format.schema is None:
            raise Inexpressible("format", "Anthropic's API wants a schema: use the type 'json_schema'")
        body["output_config"] = {"format": {"type": "json_schema", "schema": request.format.schema}}
    _write_effort(request, model, max_tokens, body)
    encoded = orjson.dumps(body)
    bound = InputBound(len(encoded))
    route = Route(
        "messages", "/v1/messages", model, body=body, body_bytes=len(encoded), bound=bound, encoded=encoded
    )
    understand(body, route)
    return route


def _write_effort(request: Request, model: str, max_tokens: int, body: dict[str, Any]) -> None:
    effort, budget = request.effort, request.thinking_tokens
    if effort == "none" or (effort is None and budget is None):
        return
    if not models.takes_budget(model):
        body["thinking"] = {"type": "adaptive"}
        if effort is not None:
            config = {"effort": "low" if effort == "minimal" else effort}
            body["output_config"] = {**body.get("output_config", {}), **config}
        return
    if not models.thinks(model):
        raise Inexpressible("effort", f"the model {model!r} does not think before it answers")
    if budget is None:
        budget = _BUDGETS.get(effort or "", LEAST_THINKING_TOKENS)
    if max_tokens <= LEAST_THINKING_TOKENS:
        raise Inexpressible(
            "effort", f"Anthropic's API thinks only if the maximum of tokens is above {LEAST_THINKING_TOKENS}"
        )
    if _goes_on_after_calls(request):
        return  # thoughts that led to the calls are wanted back, and are not there: this turn does without
    body["thinking"] = {"type": "enabled", "budget_tokens": min(budget, max_tokens - 1)}


def _goes_on_after_calls(request: Request) -> bool:
    """Whether the turn under way began with calls whose thoughts the client did not send back."""
    for turn in reversed(request.turns):
        if turn.role == "assistant":
            return any(type(p) is Call for p in turn.parts) and type(turn.parts[0]) is not Thinking
    return False


def _write_choice(request: Request) -> dict[str, Any] | None:
    choice: dict[str, Any] = {"type": request.choice or "auto"}
    if request.choice == "tool":
        choice["name"] = request.chosen
    if request.choice == "none":
        return choice
    if request.parallel is not None:
        choice["disable_parallel_tool_use"] = not request.parallel
    return choice if request.choice is not None or request.parallel is not None else None


def _write_tool(tool: Tool) -> dict[str, Any]:
    # Others take a schema that leaves out what all schemas of tools are.
    schema = tool.schema if "type" in tool.schema else {"type": "object", **tool.schema}
    told: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description:
        told["description"] = tool.description
    if tool.strict:
        told["strict"] = True
    return _mark(told, tool.cache)


def _write_content(parts: list[Part]) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and type(parts[0]) is Text and parts[0].cache is None:
        return parts[0].text
    return [block for part in parts if (block := _write_block(part)) is not None]


def _write_block(part: Part) -> dict[str, Any] | None:
    if isinstance(part, Text):
        return _mark({"type": "text", "text": part.text}, part.cache) if part.text else None
    if isinstance(part, Call):
        call = {"type": "tool_use", "id": _plain_id(part.id), "name": part.name, "input": part.arguments}
        return _mark(call, part.cache)
    if isinstance(part, Result):
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": _plain_id(part.call_id)}
        if part.parts:
            result["content"] = _write_content(list(part.parts))
        if part.is_error:
            result["is_error"] = True
        return _mark(result, part.cache)
    if isinstance(part, Thinking):
        if part.redacted:
            return {"type": "redacted_thinking", "data": part.redacted}
        # Unsigned thoughts are another model's, and refused.
        return (
            {"type": "thinking", "thinking": part.text, "signature": part.signature}
            if part.signature
            else None
        )
    return _write_media(part)


def _write_media(part: Media) -> dict[str, Any]:
    is_image = part.media_type.startswith("image/")
    if not is_image and part.media_type not in _DOCUMENTS:
        kind = part.media_type.partition("/")[0] if part.media_type.startswith("audio/") else part.media_type
        raise Inexpressible(
            "turns", f"Anthropic's API takes pictures and PDF, but no {kind[:64] or 'other files'}"
        )
    if part.url:
        source = {"type": "url", "url": part.url}
    else:
        source = {"type": "base64", "media_type": part.media_type, "data": part.data}
    block: dict[str, Any] = {"type": "image" if is_image else "document", "source": source}
    if part.name and not is_image:
        block["title"] = part.name
    return _mark(block, part.cache)


def _mark(block: dict[str, Any], cache: Any) -> dict[str, Any]:
    return block if cache is None else {**block, "cache_control": cache}


def _plain_id(call_id: str) -> str:
    """Ids of other providers may hold characters that this API refuses."""
    return _OUTSIDE_ID.sub("_", call_id) or "call"
