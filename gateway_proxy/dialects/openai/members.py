"""Reads the members that policy acts on, and nothing else: unknown members pass through untouched."""

from collections.abc import Iterator
from typing import Any

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.kept import Reference
from gateway_proxy.core.route import InputBound
from gateway_proxy.dialects.members import (
    TOKENS_WITH_TOOLS,
    read_flag,
    read_list,
    read_model_name,
    wrong_type,
)
from gateway_proxy.dialects.openai.stored import find_named
from gateway_proxy.dialects.strict_json import refuse_variants

# Lists of models, and orders to pick one, of OpenRouter and LiteLLM: the decision would no longer be the gateway's.
_MODEL_LISTS = (
    "models", "fallbacks", "route", "model_list", "fallback_models", "context_window_fallbacks",
    "context_window_fallback_dict", "content_policy_fallbacks",
)  # fmt: skip
_ANY_MODEL_LIST = frozenset(_MODEL_LISTS)

# What can be bought through a member other than `tools`, at a price that no usage object names.
_HOSTED_MEMBERS = ("web_search_options", "search_parameters", "plugins", "enable_search")

# Templates of one's own can repeat the input as often as they like.
_OPAQUE_MEMBERS = ("chat_template", "chat_template_kwargs", "mm_processor_kwargs", "documents")

TOOL_MEMBERS = frozenset(("tools", "functions", *_HOSTED_MEMBERS, *_OPAQUE_MEMBERS))

# Everything that policy reads at the top of a body; lookalikes are refused.
POLICY_MEMBERS = frozenset(
    (
        "model",
        "stream",
        "stream_options",
        "n",
        "best_of",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "messages",
        "prompt",
        "input",
        "tools",
        "functions",
        "prediction",
        "background",
        "previous_response_id",
        "conversation",
        "store",
        "request_id",
        "service_tier",
        "query",
        *_MODEL_LISTS,
        *_HOSTED_MEMBERS,
        *_OPAQUE_MEMBERS,
    )
)
_STREAM_OPTIONS = frozenset(("include_usage",))

# A tool of these members alone runs at the client: it costs the tokens of its own text.
_CLIENT_TOOL_TYPES = ("function", "custom")
_CLIENT_TOOL_MEMBERS = frozenset(
    (
        "type",
        "function",
        "custom",
        "name",
        "description",
        "parameters",
        "strict",
        "format",
        "cache_control",
        "defer_loading",
    )
)


def read_model(body: dict[str, Any]) -> str:
    """The name as asked for. Raises BadExchange (model_missing, invalid_type)."""
    if not _ANY_MODEL_LIST.isdisjoint(body):
        _refuse_model_lists(body)
    return read_model_name(body)


def _refuse_model_lists(body: dict[str, Any]) -> None:
    for name in _MODEL_LISTS:
        if body.get(name) is not None:
            raise BadExchange(
                f"{name!r} is not accepted: name one model in 'model'; fallbacks are set up at the gateway.",
                code="invalid_type",
                param=name,
            )


def read_stream_options(body: dict[str, Any]) -> bool:
    """Whether the client asked for the usage chunk itself."""
    options = body.get("stream_options")
    if options is None:
        return False
    if type(options) is not dict:
        raise wrong_type("stream_options", "an object")
    refuse_variants(options, _STREAM_OPTIONS, "stream_options.")
    return read_flag(options, "include_usage", "stream_options.")


def find_kept_by_tools(body: dict[str, Any]) -> Iterator[Reference]:
    """The ids of files, containers and the like that hosted tools name."""
    for tool in read_list(body, "tools"):
        if tool.get("type") not in _CLIENT_TOOL_TYPES:
            yield from find_named(tool, "tools")
            if type(tool.get("container")) is str:
                yield Reference(tool["container"], "tools", shareable=True)


def bound_tools(body: dict[str, Any], bound: InputBound) -> None:
    """Adds what the offered tools can cost: tokens for the client's own, no bound at all for hosted ones."""
    if TOOL_MEMBERS.isdisjoint(body):
        return
    tools = read_list(body, "tools")
    if tools or read_list(body, "functions"):
        bound.tokens += TOKENS_WITH_TOOLS
    for tool in tools:
        if type(tool) is not dict:
            raise wrong_type("tools", "a list of objects")
        if tool.get("type") not in _CLIENT_TOOL_TYPES or not tool.keys() <= _CLIENT_TOOL_MEMBERS:
            bound.unbounded = f"a hosted tool ({str(tool.get('type'))[:64]}) has no known price"
    for name in _HOSTED_MEMBERS:
        # An empty object is an order with the defaults: `web_search_options: {}` searches.
        if (value := body.get(name)) or value == {}:
            bound.unbounded = f"{name} has no known price"
    for name in _OPAQUE_MEMBERS:
        if body.get(name):
            bound.opaque = True
