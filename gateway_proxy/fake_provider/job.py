"""What a request asks for, in the provider's own terms: prompt tokens, the pieces of output, caps, the behaviour.

prompt_tokens = text // 4 + token ids + 3 × messages + 3, where text is the UTF-8 length of every string value in the parts of
the body that a model would read, never more than the body has bytes. One output token is one piece: "tok ", or four
characters of JSON. Shapes of answers do not belong here.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from email import policy
from email.parser import BytesParser
from typing import Any

import orjson

from gateway_proxy.fake_provider.behaviour import Behaviour, choose_behaviour
from gateway_proxy.fake_provider.schema import answer_schema

DEFAULT_TOKENS = 16
WORD = "tok "
_READ_BY_THE_MODEL = ("messages", "prompt", "input", "instructions", "query", "documents", "tools", "suffix")
_CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class BadRequest(ValueError):
    """The request cannot be served as it is; `param` names the member at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclasses.dataclass(slots=True)
class Job:
    """One request, understood. `pieces` is the visible output of one choice, `reasoning` its hidden tokens."""

    id: str
    path: str
    model: str
    body: dict[str, Any]
    behaviour: Behaviour
    stream: bool
    include_usage: bool
    choices: int
    max_tokens: int | None
    prompt_tokens: int
    cached_tokens: int
    pieces: Sequence[str]
    reasoning: int
    finish_reason: str
    tool: dict[str, Any] | None = None
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def total_tokens(self) -> int:
        """All output tokens of all choices, hidden ones included."""
        return self.choices * (self.reasoning + len(self.pieces))


def parse_job(
    identifier: str,
    path: str,
    content_type: str,
    raw: bytes,
    default: Behaviour,
    translate: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: body,
) -> Job:
    """`translate` brings the body of another API into these terms. Raises BadRequest, and BehaviourError for a malformed directive."""
    files: dict[str, bytes] = {}
    if content_type.startswith("multipart/form-data"):
        body, files = _parse_multipart(content_type, raw)
    else:
        body = translate(_parse_json(raw))
    model = body.get("model", "")
    if not isinstance(model, str) or (
        not model and path.endswith(("completions", "responses", "embeddings"))
    ):
        raise BadRequest("you must provide a model parameter", "model")
    prompt = last_user_text(body)
    behaviour = choose_behaviour(model, prompt, default)
    prompts = body.get("prompt") if path == "/v1/completions" else None
    batch = len(prompts) if isinstance(prompts, list) and all(isinstance(p, str) for p in prompts) else 1
    cap = _read_cap(body)
    prompt_tokens = (
        count_prompt_tokens(body, len(raw)) if not files else min(len(raw), _file_tokens(body, files))
    )
    tool = _chosen_tool(body, prompt)
    pieces, reasoning, finish_reason = _plan_output(body, behaviour, cap, tool)
    options = body.get("stream_options")
    return Job(
        id=identifier,
        path=path,
        model=model,
        body=body,
        behaviour=behaviour,
        stream=body.get("stream") in (True, "true"),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=_read_count(body, "n", 1) * max(1, batch),
        max_tokens=cap,
        prompt_tokens=prompt_tokens,
        cached_tokens=min(behaviour.cached, prompt_tokens),
        pieces=pieces,
        reasoning=reasoning,
        finish_reason=finish_reason,
        tool=tool,
        files=files,
    )


def count_prompt_tokens(body: dict[str, Any], body_bytes: int) -> int:
    """The documented count (see the top of this file)."""
    text, token_ids = _measure([body.get(name) for name in _READ_BY_THE_MODEL])
    messages = body.get("messages")
    extra = 3 * len(messages) if isinstance(messages, list) else 0
    return min(body_bytes, text // 4 + token_ids + extra + 3)


def last_user_text(body: dict[str, Any]) -> str:
    """The text of the last user message, prompt, input or query: where directives are looked for."""
    for name in ("messages", "input", "prompt", "query"):
        value = body.get(name)
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            continue
        for item in reversed(value):
            if isinstance(item, str):
                return item
            if isinstance(item, dict) and item.get("role", "user") == "user":
                return _text_of(item.get("content", item.get("text")))
    return ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return ""


def _measure(value: Any) -> tuple[int, int]:
    """(UTF-8 bytes of all strings, how many integers), member names apart."""
    text, integers, pending = 0, 0, [value]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            text += len(part) if part.isascii() else len(part.encode())
        elif isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, int) and not isinstance(part, bool):
            integers += 1
    return text, integers


def _file_tokens(body: dict[str, Any], files: dict[str, bytes]) -> int:
    return count_prompt_tokens(body, 1 << 40) + sum(len(data) for data in files.values()) // 100


def _plan_output(
    body: dict[str, Any], behaviour: Behaviour, cap: int | None, tool: dict[str, Any] | None
) -> tuple[Sequence[str], int, str]:
    reasoning = behaviour.reasoning
    if tool is not None:
        pieces: Sequence[str] = _split(answer_schema(tool.get("parameters") or {}))
    elif (schema := _wanted_schema(body)) is not None:
        pieces = _split(answer_schema(schema))
    else:
        wanted = DEFAULT_TOKENS if behaviour.tokens is None else behaviour.tokens
        pieces = [WORD] * max(0, wanted - reasoning)
    finish_reason = "tool_calls" if tool is not None else "stop"
    if cap is None:
        return pieces, reasoning, finish_reason
    if behaviour.mode == "exceeds_cap":
        made = cap + max(1, math.ceil(cap / 10))
        return [WORD] * max(0, made - reasoning), min(reasoning, made), "length"
    if reasoning + len(pieces) > cap:
        reasoning = min(reasoning, cap)
        return pieces[: cap - reasoning], reasoning, "length"
    return pieces, reasoning, finish_reason


def _split(value: Any) -> list[str]:
    text = orjson.dumps(value).decode()
    return [text[start : start + 4] for start in range(0, len(text), 4)]


def _wanted_schema(body: dict[str, Any]) -> Any:
    """The schema of chat's `response_format` or responses' `text.format`; `{}` answers plain JSON mode."""
    chosen = body.get("response_format")
    text = body.get("text")
    if chosen is None and isinstance(text, dict):
        chosen = text.get("format")
    if not isinstance(chosen, dict):
        return None
    if chosen.get("type") == "json_schema":
        inner = chosen.get("json_schema", chosen)
        return inner.get("schema", {}) if isinstance(inner, dict) else {}
    return {"type": "object"} if chosen.get("type") == "json_object" else None


def _chosen_tool(body: dict[str, Any], prompt: str) -> dict[str, Any] | None:
    tools = body.get("tools")
    if not isinstance(tools, list) or "use the tool" not in prompt:
        return None
    for tool in tools:
        if isinstance(tool, dict) and tool.get("type") == "function":
            function = tool.get("function", tool)
            return function if isinstance(function, dict) else None
    return None


def _read_cap(body: dict[str, Any]) -> int | None:
    caps = [_read_count(body, name, 1) for name in _CAPS if body.get(name) is not None]
    return min(caps, default=None)


def _read_count(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRequest(f"Invalid value for {name!r}: expected an integer of at least 1", name)
    return value


def _parse_json(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object")
    return body


def _parse_multipart(content_type: str, raw: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """RFC 7578: fields with a file name are files, the others text."""
    head = f"content-type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=policy.HTTP).parsebytes(head + raw)
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = str(part.get_param("name", "", header="content-disposition"))
        data = part.get_payload(decode=True)
        content = data if isinstance(data, bytes) else b""
        if part.get_filename() is not None:
            files[name] = content
        else:
            fields[name] = content.decode("utf-8", "replace")
    if not files and not fields:
        raise BadRequest("The multipart body has no parts; is its boundary right?")
    return fields, files
