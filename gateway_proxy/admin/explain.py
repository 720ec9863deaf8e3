"""What would become of a request of a key: asked of whoever has the key's counters, for those who may see the key."""

from typing import Any

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.gateway_view import GatewayView, ask
from gateway_proxy.admin.keys import KeyAdmin
from gateway_proxy.admin.problem import Invalid
from gateway_proxy.explain import ENDPOINTS, Question
from gateway_proxy.keys.fields import FieldError, Problems, read_model, read_provider
from gateway_proxy.proxy.client_ip import parse_ip

__all__ = ["ENDPOINTS", "ExplainAdmin", "read_question"]
_MEMBERS = ("model", "ip", "provider", "endpoint", "mcp_tool")
_LONGEST_TOOL = 256


class ExplainAdmin:
    """Nothing is changed, and nothing is taken from the key's limits."""

    def __init__(self, keys: KeyAdmin, view: GatewayView) -> None:
        self._keys = keys
        self._view = view

    async def explain(self, actor: Actor, key_id: str, document: object) -> dict[str, Any]:
        """`{"allowed", "verdicts"}` for the request that the document describes.

        Raises NotFound, Invalid with every mistake in the document, Unavailable while the gateway does not answer.
        """
        await self._keys.find(actor, key_id)
        question = read_question(document)
        return await ask(self._view.explain(key_id, question.to_json()))


def read_question(document: object) -> Question:
    """The question of a JSON document; null and absent are the same. Raises Invalid."""
    if not isinstance(document, dict):
        raise Invalid([FieldError("", "must be a JSON object")])
    problems = Problems()
    for name in document:
        if name not in _MEMBERS:
            problems.add(str(name).encode("unicode_escape").decode()[:64], "is unknown")
    given = {name: value for name in _MEMBERS if (value := document.get(name)) is not None}
    for name, value in given.items():
        if not isinstance(value, str):
            problems.add(name, "must be a string")
    if problems.errors:
        raise Invalid(problems.errors)
    model, endpoint = given.get("model", ""), given.get("endpoint", "chat")
    provider, tool, ip = given.get("provider", ""), given.get("mcp_tool", ""), given.get("ip", "")
    if not model:
        problems.add("model", "is required: the model that the request would name")
    elif model.endswith("*"):
        problems.add("model", "must be one model's name, without *")
    else:
        read_model(model, "model", problems)
    if provider:
        read_provider(provider, "provider", problems)
    if endpoint not in ENDPOINTS:
        problems.add("endpoint", f"is unknown; use one of {', '.join(ENDPOINTS)}")
    address = parse_ip(ip.strip()) if ip else None
    if ip and address is None:
        problems.add("ip", "is no IP address; write one such as 10.0.0.1")
    server, slash, name = tool.partition("/")
    if tool and (not slash or not server or not name or len(tool) > _LONGEST_TOOL):
        problems.add("mcp_tool", "must be of the form server/tool")
    if problems.errors:
        raise Invalid(problems.errors)
    return Question(model=model, endpoint=endpoint, client_ip=address, provider=provider, mcp_tool=tool)
