"""Whether a tool is still what it was when it was first seen, or last approved.

Clients and people trust a tool by its description and schema; a server that changes these behind their backs can turn a
harmless tool into another one. Promises: what is not approved is flagged, and where the settings say so also taken out
of the offer. The fingerprint covers all of the definition but `_meta`, which servers use for what changes with each answer.
Keeping approvals in a store belongs to the application.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gateway_proxy.core.approval import Approval
from gateway_proxy.mcp.catalogue import Offer

MAX_TOOLS = 10_000
MAX_DEFINITION_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ChangedTool:
    """A tool that is not what was approved; `definition` is what it is now."""

    fingerprint: str
    definition: Mapping[str, Any]
    blocked: bool


def take_fingerprint(tool: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the definition, whatever the order of its members."""
    return hashlib.sha256(_canonical(tool)).hexdigest()


def describe_definition(tool: Mapping[str, Any]) -> tuple[str, str]:
    """The fingerprint, and the definition as an approval keeps it."""
    text = _canonical(tool)
    definition = text.decode() if len(text) <= MAX_DEFINITION_BYTES else ""
    return hashlib.sha256(text).hexdigest(), definition


def _canonical(tool: Mapping[str, Any]) -> bytes:
    told = {name: value for name, value in tool.items() if name != "_meta"}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


class Definitions:
    """What was approved of the tools of all servers."""

    def __init__(self) -> None:
        self._approved: dict[str, dict[str, Approval]] = {}

    def take(self, approvals: list[Approval]) -> None:
        """What the store holds; what was seen here and is not written yet stays."""
        for approval in approvals:
            self._approved.setdefault(approval.server, {})[approval.tool] = approval

    def find(self, server: str, tool: str) -> Approval | None:
        return self._approved.get(server, {}).get(tool)

    def approve(self, approval: Approval) -> None:
        self._approved.setdefault(approval.server, {})[approval.tool] = approval

    def meet(self, offer: Offer) -> list[Approval]:
        """Takes the tools that are new for what they are now; returns those, to be written down."""
        known = self._approved.setdefault(offer.server, {})
        fresh = []
        for name, tool in offer.things("tools").items():
            if name not in known and len(known) < MAX_TOOLS:
                known[name] = Approval(offer.server, name, *describe_definition(tool))
                fresh.append(known[name])
        return fresh

    def judge(self, offer: Offer, *, blocks: bool) -> Offer:
        """The offer with its changed tools told, and with `blocks` without them."""
        known = self._approved.get(offer.server, {})
        changed: dict[str, ChangedTool] = {}
        for name, tool in offer.things("tools").items():
            approved, now = known.get(name), take_fingerprint(tool)
            if approved is not None and approved.fingerprint != now:
                changed[name] = ChangedTool(now, tool, blocks)
        if not changed:
            return offer
        lists = dict(offer.lists)
        if blocks:
            tools = offer.things("tools")
            lists["tools"] = {name: tool for name, tool in tools.items() if name not in changed}
        return replace(offer, lists=lists, changed=changed)
