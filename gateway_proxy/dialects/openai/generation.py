"""Understands the three operations that generate text: chat, completions and responses.

Every part that is not known to be plain text makes the input opaque, so that a part nobody thought of can
never be bounded too low.
"""

from typing import Any

from gateway_proxy.core.kept import Kept
from gateway_proxy.core.route import Route
from gateway_proxy.dialects import members as common
from gateway_proxy.dialects.openai import members, stored

_TEXT_PART_TYPES = frozenset(
    ("text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text")
)
_TEXT_PART_MEMBERS = frozenset(
    ("type", "text", "refusal", "annotations", "logprobs", "cache_control", "prompt_cache_breakpoint")
)
_CHAT_MEMBERS = frozenset(
    (
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "refusal",
        "reasoning",
        "reasoning_content",
        "annotations",
        "cache_control",
    )
)
# Items of a responses input whose cost is the text that they carry.
_TEXT_ITEM_MEMBERS = {
    "message": frozenset(("type", "id", "status", "role", "content", "phase")),
    "function_call": frozenset(("type", "id", "status", "call_id", "name", "arguments", "namespace")),
    "custom_tool_call": frozenset(("type", "id", "status", "call_id", "name", "input")),
    "function_call_output": frozenset(("type", "id", "status", "call_id", "output")),
    "custom_tool_call_output": frozenset(("type", "id", "status", "call_id", "output")),
}


# What policy reads of a chat beside its messages and its maximum: most bodies have none of these.
_CHAT_OPTIONS = members.TOOL_MEMBERS.union(
    ("modalities", "store", "prediction", "n", "max_completion_tokens", "stream", "stream_options")
)


def understand_chat(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a chat completions body."""
    messages: Any = body.get("messages")
    if type(messages) is not list:
        raise common.wrong_type("messages", "a list")
    bound = route.bound
    bound.tokens += common.TOKENS_PER_MESSAGE * len(messages)
    for message in messages:
        if type(message) is not dict:
            raise common.wrong_type("messages", "a list of objects")
        content = message.get("content")
        if type(content) is str and len(message) == 2 and "role" in message:
            continue  # what most messages are
        if not message.keys() <= _CHAT_MEMBERS or not _is_text(content):
            bound.opaque = True
    if bound.opaque:
        stored.note_parts(messages, route)
    if _CHAT_OPTIONS.isdisjoint(body):
        route.max_output_tokens = common.read_count(body, "max_tokens", 1, common.LARGEST_CAP)
        route.wants_output_cap = True
    else:
        _understand_options(body, route)


def _understand_options(body: dict[str, Any], route: Route) -> None:
    bound = route.bound
    members.bound_tools(body, bound)
    if "modalities" in body and "audio" in common.read_list(body, "modalities"):
        route.kept = route.kept or Kept()  # what was said has an id for later turns
    if "store" in body and common.read_flag(body, "store"):
        route.kept = route.kept or Kept()
        route.kept.demand = "store"
    if "prediction" in body and body["prediction"] is not None:
        bound.unbounded = "rejected prediction tokens are billed beyond the output maximum"
    if "n" in body:
        route.choices = common.read_count(body, "n", 1, common.LARGEST_CHOICES) or 1
    _read_caps(body, route, ("max_completion_tokens", "max_tokens"), lowest=1)
    _read_stream(body, route)


def understand_completions(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a completions body; a list of prompts is answered once per prompt."""
    prompt = body.get("prompt")
    prompts = 1
    if type(prompt) is list:
        if prompt and type(prompt[0]) in (str, list):
            prompts = len(prompt)
            if any(type(entry) is not str and type(entry) is not list for entry in prompt):
                raise common.wrong_type("prompt", "a string, a list of strings, or lists of tokens")
        elif any(type(token) is not int for token in prompt):
            raise common.wrong_type("prompt", "a string, a list of strings, or lists of tokens")
    elif prompt is not None and type(prompt) is not str:
        raise common.wrong_type("prompt", "a string, a list of strings, or lists of tokens")
    members.bound_tools(body, route.bound)
    wanted = common.read_count(body, "n", 1, common.LARGEST_CHOICES) or 1
    drawn = common.read_count(body, "best_of", 1, common.LARGEST_CHOICES) or 1
    route.choices = prompts * max(wanted, drawn)
    _read_caps(body, route, ("max_tokens",), lowest=0)
    _read_stream(body, route)


def understand_responses(body: dict[str, Any], route: Route) -> None:
    """Fills `route` from a responses body."""
    kept = stored.understand_store(body, route)
    bound = route.bound
    bound.opaque = bool(kept.references)
    given = body.get("input")
    items: list[Any] = given if type(given) is list else []
    if given is not None and type(given) is not list and type(given) is not str:
        raise common.wrong_type("input", "a string or a list")
    messages = (len(items) or 1) + (body.get("instructions") is not None)
    bound.tokens += common.TOKENS_PER_MESSAGE * messages
    for item in items:
        if type(item) is not dict:
            raise common.wrong_type("input", "a list of objects")
        kind = item.get("type") or "message"
        known = _TEXT_ITEM_MEMBERS.get(kind) if type(kind) is str else None
        if (
            known is None
            or not item.keys() <= known
            or not _is_text(item.get("content"))
            or not _is_text(item.get("output"))
        ):
            bound.opaque = True
            stored.note_item(item, kept, is_label=known is not None)
    members.bound_tools(body, bound)
    if bound.unbounded is not None:
        kept.references += members.find_kept_by_tools(body)
    if body.get("prompt") is not None:
        bound.unbounded = "a stored prompt can name hosted tools"
    if kept.demand == "background":
        bound.unbounded = "background mode reports its usage to nobody"
    _read_caps(body, route, ("max_output_tokens",), lowest=1)
    route.stream = common.read_flag(body, "stream")


def _is_text(content: Any) -> bool:
    """Whether this content costs at most its own bytes."""
    if content is None or type(content) is str:
        return True
    if type(content) is not list:
        return False
    for part in content:
        if type(part) is not dict:
            if type(part) is str:
                continue
            return False
        kind = part.get("type")
        if type(kind) is not str or kind not in _TEXT_PART_TYPES or not part.keys() <= _TEXT_PART_MEMBERS:
            return False
    return True


def _read_caps(body: dict[str, Any], route: Route, names: tuple[str, ...], lowest: int) -> None:
    """The client's own maximum; where it names two, the upstream may honour either, so the larger one."""
    largest: int | None = None
    for name in names:
        if name in body:
            cap = common.read_count(body, name, lowest, common.LARGEST_CAP)
            if cap is not None and (largest is None or cap > largest):
                largest = cap
    route.max_output_tokens = largest
    route.wants_output_cap = True


def _read_stream(body: dict[str, Any], route: Route) -> None:
    if "stream" in body:
        route.stream = common.read_flag(body, "stream")
    asked = "stream_options" in body and members.read_stream_options(body)
    route.strip_usage = route.stream and not asked
