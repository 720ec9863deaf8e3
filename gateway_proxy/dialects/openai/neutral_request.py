"""Chat completions requests to the neutral form and back.

Hints that cannot change an answer (`_HINTS`, the detail of a picture, labels) are the only members that may get lost.
"""

import hashlib
from typing import Any

import orjson

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.route import InputBound, Route
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
from gateway_proxy.dialects.openai.generation import understand_chat

MEMBERS = {
    "choice": "tool_choice", "parallel": "parallel_tool_calls", "max_tokens": "max_completion_tokens", "format": "response_format",
    "effort": "reasoning_effort", "tier": "service_tier", "system": "messages", "turns": "messages",
}  # fmt: skip
_READ = frozenset(
    (
        "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature",
        "top_p", "top_k", "stop", "response_format", "reasoning_effort", "seed", "presence_penalty", "frequency_penalty", "user",
        "safety_identifier", "service_tier", "stream", "stream_options",
    )
)  # fmt: skip
_HINTS = frozenset(("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"))
# What a request says that could as well leave these members out.
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "n": (1,), "logprobs": (False,), "top_logprobs": (0,), "logit_bias": ({},), "modalities": (["text"],), "store": (False,),
    "verbosity": ("medium",), "metadata": ({},),
}  # fmt: skip
_KNOWN = _READ | _HINTS
_MESSAGE = frozenset(("role", "content"))
_ASSISTANT = _MESSAGE | {
    "tool_calls", "refusal", "annotations", "reasoning", "reasoning_content", "thinking_blocks",
}  # fmt: skip
_TOOL_MESSAGE = _MESSAGE | {"tool_call_id", "name"}
_PARTS = {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file"}
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_CHOICE_WORDS = {meant: word for word, meant in _CHOICES.items()}
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
MAX_STOPS = 4
MAX_USER_CHARACTERS = 64


def read_request(route: Route) -> Request:
    """Raises Inexpressible, and BadExchange (invalid_type)."""
    body: dict[str, Any] = route.body
    if not body.keys() <= _KNOWN:
        others = {name: v for name, v in body.items() if v not in _HARMLESS.get(name, ())}
        reading.refuse_others(others, _KNOWN)
    request = Request(
        tools=[_read_tool(tool, f"tools.{i}") for i, tool in enumerate(reading.take_list(body.get("tools"), "tools"))],
        parallel=reading.take_flag(body, "parallel_tool_calls"),
        max_tokens=route.max_output_tokens,
        temperature=reading.take_number(body, "temperature"),
        top_p=reading.take_number(body, "top_p"),
        top_k=reading.take_integer(body, "top_k"),
        seed=reading.take_integer(body, "seed"),
        presence_penalty=reading.take_number(body, "presence_penalty") or None,
        frequency_penalty=reading.take_number(body, "frequency_penalty") or None,
        stream=route.stream,
        wants_usage=not route.strip_usage,
    )  # fmt: skip
    stop = body.get("stop")
    stops = [stop] if type(stop) is str else reading.take_list(stop, "stop")
    request.stop = [reading.take_text(word, "stop") for word in stops]
    user = body.get("safety_identifier") or body.get("user")
    request.user = None if user is None else reading.take_text(user, "user")
    _read_choice(body.get("tool_choice"), request)
    request.format = _read_format(body.get("response_format"))
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise wrong_type("reasoning_effort", f"one of {', '.join(EFFORTS)}")
    request.effort = effort
    tier = body.get("service_tier")
    if tier not in (None, "auto", "default"):
        raise Inexpressible("service_tier", "the tiers of another provider are others")
    request.tier = "standard" if tier == "default" else None
    for i, message in enumerate(body["messages"]):
        _read_message(message, f"messages.{i}", request)
    return request


def _read_choice(choice: Any, request: Request) -> None:
    if choice is None:
        return
    if type(choice) is str and choice in _CHOICES:
        request.choice = _CHOICES[choice]
        return
    if type(choice) is not dict:
        raise wrong_type("tool_choice", "'none', 'auto', 'required' or an object")
    if choice.get("type") != "function":
        raise Inexpressible(
            "tool_choice", f"the kind {str(choice.get('type'))[:64]!r} has no counterpart there"
        )
    function = reading.take_object(choice.get("function"), "tool_choice.function")
    request.choice, request.chosen = (
        "tool",
        reading.take_text(function.get("name"), "tool_choice.function.name"),
    )


def _read_format(value: Any) -> Format | None:
    if value is None:
        return None
    kind = reading.take_object(value, "response_format").get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return Format(None)
    if kind != "json_schema":
        raise Inexpressible("response_format", f"the type {str(kind)[:64]!r} has no counterpart there")
    told = reading.take_object(value.get("json_schema"), "response_format.json_schema")
    schema = reading.take_object(told.get("schema"), "response_format.json_schema.schema")
    description = told.get("description")
    if type(description) is str and "description" not in schema:
        schema = {**schema, "description": description}
    name = told.get("name")
    return Format(schema, name if type(name) is str else "answer", told.get("strict") is True)


def _read_tool(tool: Any, where: str) -> Tool:
    kind = reading.take_object(tool, where).get("type")
    if kind != "function":
        raise Inexpressible(where, f"a tool of the type {str(kind)[:64]!r} has no counterpart there")
    reading.refuse_others(tool, {"type", "function", "cache_control"}, where + ".")
    function = reading.take_object(tool.get("function"), where + ".function")
    reading.refuse_others(function, {"name", "description", "parameters", "strict"}, where + ".function.")
    schema = function.get("parameters")
    return Tool(
        reading.take_text(function.get("name"), where + ".function.name"),
        reading.take_text(function.get("description") or "", where + ".function.description"),
        _NO_PARAMETERS if schema is None else reading.take_object(schema, where + ".function.parameters"),
        reading.take_flag(function, "strict") is True,
        tool.get("cache_control"),
    )


def _read_message(message: dict[str, Any], where: str, request: Request) -> None:
    role, content = message.get("role"), message.get("content")
    if role in ("system", "developer"):
        reading.refuse_others(message, _MESSAGE, where + ".")
        parts = _read_content(content, where + ".content")
        request.system += [_only_text(part, where) for part in parts]
    elif role == "user":
        reading.refuse_others(message, _MESSAGE, where + ".")
        request.turns.append(Turn("user", list(_read_content(content, where + ".content"))))
    elif role == "assistant":
        reading.refuse_others(message, _ASSISTANT, where + ".")
        request.turns.append(Turn("assistant", _read_assistant(message, where)))
    elif role == "tool":
        reading.refuse_others(message, _TOOL_MESSAGE, where + ".")
        call_id = reading.take_text(message.get("tool_call_id"), where + ".tool_call_id")
        result = Result(call_id, _read_content(content, where + ".content"))
        last = request.turns[-1] if request.turns else None
        if last is not None and last.role == "user" and type(last.parts[-1]) is Result:
            last.parts.append(result)
        else:
            request.turns.append(Turn("user", [result]))
    else:
        raise Inexpressible(where + ".role", f"the role {str(role)[:64]!r} has no counterpart there")


def _read_assistant(message: dict[str, Any], where: str) -> list[Part]:
    parts: list[Part] = []
    for block in reading.take_list(message.get("thinking_blocks"), where + ".thinking_blocks"):
        told = {
            name: str(reading.take_object(block, where).get(name) or "")
            for name in ("thinking", "signature", "data")
        }
        parts.append(Thinking(told["thinking"], told["signature"], told["data"]))
    text = message.get("reasoning_content")
    if len(parts) == 1 and isinstance(parts[0], Thinking) and not parts[0].text and type(text) is str:
        parts[0].text = text  # a stream tells the text once, and the signature after it
    parts += [_only_text(part, where) for part in _read_content(message.get("content"), where + ".content")]
    if message.get("refusal"):
        parts.append(Text(reading.take_text(message["refusal"], where + ".refusal")))
    for i, call in enumerate(reading.take_list(message.get("tool_calls"), where + ".tool_calls")):
        at = f"{where}.tool_calls.{i}"
        if reading.take_object(call, at).get("type", "function") != "function":
            raise Inexpressible(at, "only calls of functions have a counterpart there")
        function = reading.take_object(call.get("function"), at + ".function")
        parts.append(
            Call(
                reading.take_text(call.get("id"), at + ".id"),
                reading.take_text(function.get("name"), at + ".function.name"),
                reading.take_arguments(function.get("arguments"), at + ".function.arguments"),
                _read_signature(call),
            )
        )
    return parts


def _read_signature(call: dict[str, Any]) -> str:
    held: Any = call
    for name in ("extra_content", "google", "thought_signature"):
        held = held.get(name) if type(held) is dict else None
    return held if type(held) is str else ""


def _read_content(content: Any, where: str) -> list[Text | Media]:
    if content is None:
        return []
    if type(content) is str:
        return [Text(content)]
    return [_read_part(part, f"{where}.{i}") for i, part in enumerate(reading.take_list(content, where))]


def _read_part(part: Any, where: str) -> Text | Media:
    kind = reading.take_object(part, where).get("type")
    cache = part.get("cache_control")
    if kind == "text":
        return Text(reading.take_text(part.get("text"), where + ".text"), cache)
    if kind == "refusal":
        return Text(reading.take_text(part.get("refusal"), where + ".refusal"), cache)
    if kind == "image_url":
        image = reading.take_object(part.get("image_url"), where + ".image_url")
        media = reading.take_media_url(
            reading.take_text(image.get("url"), where + ".image_url.url"), where + ".image_url.url"
        )
        media.media_type = media.media_type or "image/*"
    elif kind == "input_audio":
        audio = reading.take_object(part.get("input_audio"), where + ".input_audio")
        media_type = _AUDIO_TYPES.get(str(audio.get("format")))
        if media_type is None:
            raise wrong_type(where + ".input_audio.format", "'wav' or 'mp3'")
        media = Media(media_type, reading.take_text(audio.get("data"), where + ".input_audio.data"))
    elif kind == "file":
        file = reading.take_object(part.get("file"), where + ".file")
        if type(file.get("file_data")) is not str:
            raise Inexpressible(
                where + ".file", "only files whose data are in 'file_data' can be sent to another provider"
            )
        media = reading.take_media_url(file["file_data"], where + ".file.file_data")
        media.name = str(file.get("filename") or "")
    else:
        raise Inexpressible(where, f"a part of the type {str(kind)[:64]!r} has no counterpart there")
    media.cache = cache
    return media


def _only_text(part: Text | Media, where: str) -> Text:
    if type(part) is Text:
        return part
    raise BadExchange(f"{where!r} may hold text only.", code="invalid_type", param=where)


def write_request(request: Request, model: str) -> Route:
    """The route as `identify` would make it, the maximum apart, which `encode` writes. Raises Inexpressible."""
    if request.top_k is not None:
        raise Inexpressible("top_k", "OpenAI's chat API has no such member")
    if len(request.stop) > MAX_STOPS:
        raise Inexpressible("stop", f"OpenAI's chat API takes at most {MAX_STOPS} of them")
    body: dict[str, Any] = {"model": model, "messages": list(_write_messages(request))}
    for name in ("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"):
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.user is not None:
        is_short = len(request.user) <= MAX_USER_CHARACTERS
        body["user"] = request.user if is_short else hashlib.sha256(request.user.encode()).hexdigest()
    if request.stop:
        body["stop"] = request.stop
    if request.stream:
        body["stream"] = True
    if request.tools:
        body["tools"] = [_write_tool(tool) for tool in request.tools]
        if request.parallel is not None:
            body["parallel_tool_calls"] = request.parallel
        if request.choice is not None:
            chosen = {"type": "function", "function": {"name": request.chosen}}
            body["tool_choice"] = chosen if request.choice == "tool" else _CHOICE_WORDS[request.choice]
    if request.format is not None:
        body["response_format"] = _write_format(request.format)
    effort = request.effort or _effort_of(request.thinking_tokens)
    if effort is not None:
        body["reasoning_effort"] = "xhigh" if effort == "max" else effort
    if request.tier is not None:
        body["service_tier"] = "default"
    encoded = orjson.dumps(body)
    bound = InputBound(len(encoded))
    route = Route(
        "chat", "/chat/completions", model, body=body, body_bytes=len(encoded), bound=bound, encoded=encoded
    )
    understand_chat(body, route)
    return route


def _effort_of(thinking_tokens: int | None) -> str | None:
    if thinking_tokens is None:
        return None
    return "low" if thinking_tokens <= 2048 else "medium" if thinking_tokens <= 8192 else "high"


def _write_format(wanted: Format) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    told = {"name": wanted.name, "schema": wanted.schema, "strict": wanted.strict}
    return {"type": "json_schema", "json_schema": told}


def _write_tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.schema}
    if tool.description:
        function["description"] = tool.description
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _write_messages(request: Request) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": "\n\n".join([text.text for text in request.system])})
    for turn in request.turns:
        if turn.role == "assistant":
            messages.append(_write_assistant(turn))
            continue
        said: list[Text | Media] = []
        for part in turn.parts:
            if type(part) is Result:
                messages.append(
                    {"role": "tool", "tool_call_id": part.call_id, "content": _write_result(part)}
                )
            elif isinstance(part, Text | Media):
                said.append(part)
        if len(said) == 1 and type(said[0]) is Text:
            messages.append({"role": "user", "content": said[0].text})
        elif said or not turn.parts:
            messages.append({"role": "user", "content": [_write_part(part) for part in said]})
    return messages


def _write_assistant(turn: Turn) -> dict[str, Any]:
    # The API has no place for thoughts of earlier turns: they stay behind.
    text = "".join([part.text for part in turn.parts if type(part) is Text])
    calls = [
        {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": orjson.dumps(c.arguments).decode()}}
        for c in turn.parts
        if type(c) is Call
    ]  # fmt: skip
    if not calls:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": text or None, "tool_calls": calls}


def _write_result(result: Result) -> str:
    texts = []
    for part in result.parts:
        if type(part) is not Text:
            raise Inexpressible("turns", "a tool's result can hold text only in OpenAI's chat API")
        texts.append(part.text)
    text = "\n".join(texts)
    return f"Error: {text}" if result.is_error and not text.lower().startswith("error") else text


def _write_part(part: Text | Media) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if part.media_type.startswith("image/"):
        return {
            "type": "image_url",
            "image_url": {"url": part.url or f"data:{part.media_type};base64,{part.data}"},
        }
    if part.url:
        raise Inexpressible("turns", "OpenAI's chat API takes no documents by URL")
    if part.media_type.startswith("audio/"):
        sound = _AUDIO_FORMATS.get(part.media_type)
        if sound is None:
            raise Inexpressible(
                "turns", f"OpenAI's chat API takes no sound of the type {part.media_type[:64]!r}"
            )
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": sound}}
    data = f"data:{part.media_type};base64,{part.data}"
    return {"type": "file", "file": {"filename": part.name or "document", "file_data": data}}
