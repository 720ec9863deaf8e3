"""What servers offer, as discovered: the gateway's own list, from which everything is listed and judged.

Promises: each thing has a usable name and stands once, in an order that depends on nothing but the names. Who fetches
it, and when again, belongs elsewhere.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway_proxy.mcp.definitions import ChangedTool

Things = Mapping[str, dict[str, Any]]

KINDS = {"tools": "name", "prompts": "name", "resources": "uri", "resourceTemplates": "uriTemplate"}
"""The lists of a server, and the member that identifies a thing of each."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The lists of one server, by identity. `problem` is set while the server cannot be asked; what it offered last
    stays. `changed` are the tools that are not what was approved, by name.
    """

    server: str
    lists: Mapping[str, Things] = field(default_factory=dict)
    problem: str = ""
    changed: Mapping[str, "ChangedTool"] = field(default_factory=dict)

    def things(self, kind: str) -> Things:
        return self.lists.get(kind, {})


Catalogue = Mapping[str, Offer]


def read_list(kind: str, items: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """The usable ones of the things that a server listed, sorted by identity; the first of a name counts."""
    identity = KINDS[kind]
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        if isinstance(item, dict) and isinstance(told := item.get(identity), str) and told:
            found.setdefault(told, item)
    return dict(sorted(found.items()))


def make_catalogue(offers: Iterable[Offer]) -> Catalogue:
    """The offers by server, sorted."""
    return {offer.server: offer for offer in sorted(offers, key=lambda offer: offer.server)}
