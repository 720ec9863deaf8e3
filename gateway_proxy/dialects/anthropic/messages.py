"""Understands a Messages body: what policy acts on, what the input can cost, what has no bound.

Every block and member that is not known to cost only its own text makes the input opaque or the cost unbounded, so that a
feature nobody thought of can never be bounded too low.
"""

from typing import Any

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.kept import Kept, Reference
from gateway_proxy.core.route import InputBound, Route
from gateway_proxy.dialects.members import (
    LARGEST_CAP,
    TOKENS_PER_MESSAGE,
    TOKENS_WITH_TOOLS,
    read_count,
    read_flag,
    read_list,
    read_text,
    wrong_type,
)

# What costs nothing beyond the tokens that the usage counts and `max_tokens` bounds.
_PLAIN_MEMBERS = frozenset(
    (
        "model", "max_tokens", "messages", "system", "stream", "stop_sequences", "temperature", "top_k", "top_p", "metadata",
        "tools", "tool_choice", "thinking", "cache_control", "service_tier", "output_config", "output_format",
    )
)  # fmt: skip
# Told of separately: these are no danger while they say what they would say if they were left out.
_HARMLESS_VALUES = {"speed": "standard", "inference_geo": "global"}
_MODEL_LISTS = (
    "models", "fallbacks", "model_list", "fallback_models", "context_window_fallbacks",
    "context_window_fallback_dict", "content_policy_fallbacks",
)  # fmt: skip
_STATEFUL = ("thread", "container", "diagnostics")
_ACCOUNTS = ("workspace_id", "user_profile_id")
_NOT_THE_CLIENTS = frozenset((*_MODEL_LISTS, *_ACCOUNTS, "thread", "container", "diagnostics"))
POLICY_MEMBERS = frozenset(
    (*_PLAIN_MEMBERS, *_HARMLESS_VALUES, *_MODEL_LISTS, *_STATEFUL, *_ACCOUNTS, "mcp_servers")
)

_TEXT_BLOCKS = {
    "text": frozenset(("type", "text", "cache_control", "citations")),
    "thinking": frozenset(("type", "thinking", "signature", "cache_control")),
    "redacted_thinking": frozenset(("type", "data", "cache_control")),
    "tool_use": frozenset(("type", "id", "name", "input", "cache_control", "caller")),
    "tool_result": frozenset(("type", "tool_use_id", "content", "is_error", "cache_control")),
}
_MESSAGE_MEMBERS = frozenset(("role", "content"))
_TOOL_MEMBERS = frozenset(
    (
        "type", "name", "description", "input_schema", "cache_control", "strict", "defer_loading", "input_examples",
        "eager_input_streaming", "allowed_callers",
    )
)  # fmt: skip
LEAST_THINKING_TOKENS = 1024
# Run at the client; their definitions are the provider's, each of a few hundred tokens.
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_", "computer_2")
# Run at the client too, but of an unknown length.
_CLIENT_TOOLSETS = ("computer_toolset_", "browser_toolset_")


def understand(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a Messages body. Raises BadExchange."""
    _understand_input(body, route)
    cap = read_count(body, "max_tokens", 0, LARGEST_CAP)
    if cap is None:
        raise wrong_type("max_tokens", f"an integer from 0 to {LARGEST_CAP}")
    thinking = body.get("thinking")
    if type(thinking) is dict:
        budget = read_count(thinking, "budget_tokens", 0, LARGEST_CAP)
        if budget is not None and budget >= cap:
            cap += budget  # interleaved with tools, thinking may go beyond the maximum of the answer
    route.max_output_tokens = cap
    route.wants_output_cap = True
    route.stream = read_flag(body, "stream")
    route.service_tier = read_text(body, "service_tier")


def understand_count(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from the body of a token count, which costs nothing. Raises BadExchange."""
    _understand_input(body, route)
    route.max_output_tokens = 0
    route.free = True


def cap_output(body: dict[str, Any], output_cap: int) -> dict[str, Any]:
    """The body with a maximum of at most `output_cap`, and with thinking only where that leaves room for it."""
    cap = min(output_cap, body["max_tokens"])
    capped = {**body, "max_tokens": cap}
    thinking = body.get("thinking") or {}
    if thinking.get("budget_tokens", 0) >= cap:
        if cap > LEAST_THINKING_TOKENS:
            capped["thinking"] = {**thinking, "budget_tokens": cap - 1}
        else:
            del capped["thinking"]
    return capped


def _understand_input(body: dict[str, Any], route: Route) -> None:
    bound = route.bound
    _refuse_what_is_not_the_clients(body)
    messages = body.get("messages")
    if type(messages) is not list:
        raise wrong_type("messages", "a list")
    bound.tokens += TOKENS_PER_MESSAGE * (len(messages) + 1)
    for message in messages:
        if type(message) is not dict:
            raise wrong_type("messages", "a list of objects")
        if not message.keys() <= _MESSAGE_MEMBERS or not _is_text(message.get("content")):
            bound.opaque = True
            _note_files(message.get("content"), route)
    if not _is_text(body.get("system")):
        bound.opaque = True
    _bound_tools(read_list(body, "tools"), bound)
    if not body.keys() <= _PLAIN_MEMBERS:
        _bound_members(body, bound)


def _note_files(content: Any, route: Route) -> None:
    """The ids of files that blocks give to read; those in results of server tools are only told again."""
    for block in content if type(content) is list else []:
        if type(block) is not dict:
            continue
        if block.get("type") == "tool_result":
            _note_files(block.get("content"), route)
        holder = block if block.get("type") == "container_upload" else block.get("source")
        id = holder.get("file_id") if type(holder) is dict else None
        if type(id) is str:
            route.kept = route.kept or Kept()
            route.kept.references.append(Reference(id, "messages", shareable=True))


def _bound_members(body: dict[str, Any], bound: InputBound) -> None:
    for name in body.keys() - _PLAIN_MEMBERS:
        value = body[name]
        if value is not None and value != _HARMLESS_VALUES.get(name):
            bound.opaque = True
            bound.unbounded = f"{name[:64]} has no known price"


def _bound_tools(tools: list[Any], bound: InputBound) -> None:
    if tools:
        bound.tokens += TOKENS_WITH_TOOLS
    for tool in tools:
        if type(tool) is not dict:
            raise wrong_type("tools", "a list of objects")
        kind = tool.get("type")
        if kind is None or kind == "custom":
            if not tool.keys() <= _TOOL_MEMBERS:
                bound.opaque = True
        elif type(kind) is str and kind.startswith(_CLIENT_TOOLS):
            bound.tokens += 2 * TOKENS_WITH_TOOLS
        elif type(kind) is str and kind.startswith(_CLIENT_TOOLSETS):
            bound.opaque = True
        else:
            bound.opaque = True
            bound.unbounded = f"how often a server tool ({str(kind)[:64]}) runs, and reads, has no bound"


def _is_text(content: Any) -> bool:
    """Whether this content costs at most its own bytes."""
    if content is None or type(content) is str:
        return True
    if type(content) is not list:
        return False
    for block in content:
        if type(block) is not dict:
            return False
        kind = block.get("type")
        known = _TEXT_BLOCKS.get(kind) if type(kind) is str else None
        if known is None or not block.keys() <= known:
            return False
        if kind == "tool_result" and not _is_text(block.get("content")):
            return False
    return True


def _refuse_what_is_not_the_clients(body: dict[str, Any]) -> None:
    """Lists of models, another's stored context, and the choice of an account at the provider."""
    if _NOT_THE_CLIENTS.isdisjoint(body):
        return
    for name in _MODEL_LISTS:
        if body.get(name) is not None:
            raise BadExchange(
                f"{name!r} is not accepted: name one model in 'model'; fallbacks are set up at the gateway.",
                code="invalid_type",
                param=name,
            )
    for name in _ACCOUNTS:
        if body.get(name) is not None:
            raise BadExchange(
                f"{name!r} is not accepted: the gateway's own account is used.",
                code="invalid_type",
                param=name,
            )
    container, diagnostics = body.get("container"), body.get("diagnostics")
    stored = {
        "thread": body.get("thread"),
        "container": container.get("id") if type(container) is dict else container,
        "diagnostics": diagnostics.get("previous_message_id") if type(diagnostics) is dict else diagnostics,
    }
    for name, value in stored.items():
        if value is not None:
            raise BadExchange(
                f"Nothing stored of this key has the id in {name!r}.",
                status=404,
                code="response_not_found",
                param=name,
            )
