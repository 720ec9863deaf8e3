"""What a key may see and call: one rule for lists and calls, on the endpoint of one server and on that of all.

Promises: a tool is listed exactly if it may be called; what is denied answers word for word like what does not exist,
unless the settings say `forbidden`. Prompts, resources, completions and subscriptions go with their server.
Filtered lists are private (MCP 2026-07-28, server/utilities/caching).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.mcp.catalogue import KINDS, Catalogue, Offer
from gateway_proxy.mcp.errors import FORBIDDEN, INVALID_PARAMS, McpError
from gateway_proxy.mcp.names import MAX_NAME, join_name, join_uri, split_name, split_uri

LEFT_OUT_KEY = "gateway-proxy/left-out"
UNAVAILABLE_KEY = "gateway-proxy/unavailable"
_WORDS = {"tools": "tool", "prompts": "prompt"}


@dataclass(frozen=True, slots=True)
class Called:
    """Where a call goes, and the params that say so to that server."""

    server: str
    name: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """A key's view of the catalogue. `server` is that of the path, "" at the endpoint of all."""

    policy: KeyPolicy
    catalogue: Catalogue
    server: str = ""
    forbids: bool = False  # `mcp.denied_style = "forbidden"`

    def offers(self) -> Iterator[Offer]:
        """The offers of the servers that the key may use at this endpoint."""
        for name, offer in self.catalogue.items():
            if (not self.server or name == self.server) and self.policy.allows_server(name):
                yield offer

    def check_server(self) -> None:
        """Raises McpError for a server in the path that the key may not use: 404 like one that does not exist."""
        if self.server and not (self.server in self.catalogue and self.policy.allows_server(self.server)):
            raise self._refuse("server", self.server, exists=self.server in self.catalogue, status=404)

    def list_things(self, kind: str, cursor: Any = None) -> dict[str, Any]:
        """The result of a list: one page. Raises McpError -32602 for a cursor, since none is ever handed out."""
        if cursor is not None:
            raise McpError(INVALID_PARAMS, "Invalid params: unknown cursor")
        shown: list[dict[str, Any]] = []
        left_out: list[str] = []
        unavailable = []
        for offer in self.offers():
            if offer.problem:
                unavailable.append(offer.server)
            for identity, thing in offer.things(kind).items():
                if not self._may_use(kind, offer.server, identity):
                    continue
                renamed = thing if self.server else _rename(kind, offer.server, thing)
                if renamed is None:
                    left_out.append(join_name(offer.server, thing["name"]))
                else:
                    shown.append(renamed)
        result: dict[str, Any] = {kind: shown}
        meta = {LEFT_OUT_KEY: left_out, UNAVAILABLE_KEY: unavailable}
        if any(meta.values()):
            result["_meta"] = {key: names for key, names in meta.items() if names}
        return result

    def judge_name(self, kind: str, params: dict[str, Any] | None) -> Called:
        """Where `tools/call` or `prompts/get` goes. Raises McpError -32602, one wording for unknown and denied."""
        params = params or {}
        asked = params.get("name")
        if not isinstance(asked, str):
            raise McpError(INVALID_PARAMS, "Invalid params: name must be a string")
        server, name = self._place_name(asked)
        offer = self.catalogue.get(server)
        exists = offer is not None and name in offer.things(kind)
        if not (exists and self._may_use(kind, server, name)):
            raise self._refuse(_WORDS[kind], asked, exists=exists)
        return Called(server, name, {**params, "name": name})

    def judge_uri(self, params: dict[str, Any] | None) -> Called:
        """Where `resources/read` (or `subscribe`) goes: templates allow URIs that no list holds, so the server judges
        the URI itself. Raises McpError -32602.
        """
        params = params or {}
        asked = params.get("uri")
        if not isinstance(asked, str):
            raise McpError(INVALID_PARAMS, "Invalid params: uri must be a string")
        server, uri = self._place_uri(asked)
        self._check_usable(server, "resource", asked)
        return Called(server, uri, {**params, "uri": uri})

    def judge_completion(self, params: dict[str, Any] | None) -> Called:
        """Where `completion/complete` goes. Raises McpError -32602."""
        params = params or {}
        reference = params.get("ref")
        if not isinstance(reference, dict):
            raise McpError(INVALID_PARAMS, "Invalid params: ref must be an object")
        if reference.get("type") == "ref/prompt":
            called = self.judge_name("prompts", reference)
        elif reference.get("type") == "ref/resource":
            called = self.judge_uri(reference)
        else:
            raise McpError(INVALID_PARAMS, "Invalid params: ref.type must be ref/prompt or ref/resource")
        return Called(called.server, called.name, {**params, "ref": called.params})

    def split_subscription(self, params: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
        """The filter of `subscriptions/listen` for each server it concerns. Raises McpError -32602."""
        asked = (params or {}).get("notifications")
        if not isinstance(asked, dict):
            raise McpError(INVALID_PARAMS, "Invalid params: notifications must be an object")
        uris = asked.get("resourceSubscriptions", [])
        if not isinstance(uris, list) or not all(isinstance(uri, str) for uri in uris):
            raise McpError(
                INVALID_PARAMS, "Invalid params: resourceSubscriptions must be an array of strings"
            )
        changes = {
            name: True
            for name in ("toolsListChanged", "promptsListChanged", "resourcesListChanged")
            if asked.get(name) is True
        }
        filters: dict[str, dict[str, Any]] = (
            {offer.server: dict(changes) for offer in self.offers()} if changes else {}
        )
        for asked_uri in uris:
            called = self.judge_uri({"uri": asked_uri})
            filters.setdefault(called.server, {}).setdefault("resourceSubscriptions", []).append(called.name)
        return filters

    def _may_use(self, kind: str, server: str, name: str) -> bool:
        if kind == "tools":
            return self.policy.allows_tool(server, name)
        return self.policy.allows_server(server)

    def _place_name(self, asked: str) -> tuple[str, str]:
        if self.server:
            return self.server, asked
        return split_name(asked) or ("", asked)

    def _place_uri(self, asked: str) -> tuple[str, str]:
        if self.server:
            return self.server, asked
        return split_uri(asked) or ("", asked)

    def _check_usable(self, server: str, word: str, asked: str) -> None:
        exists = server in self.catalogue
        if not (exists and self.policy.allows_server(server)):
            raise self._refuse(word, asked, exists=exists)

    def _refuse(self, word: str, asked: str, *, exists: bool, status: int = 200) -> McpError:
        if exists and self.forbids:
            return McpError(
                FORBIDDEN, f"This API key may not use the {word}: {asked}", status=403, denied=True
            )
        return McpError(INVALID_PARAMS, f"Unknown {word}: {asked}", status=status, denied=exists)


def _rename(kind: str, server: str, thing: dict[str, Any]) -> dict[str, Any] | None:
    """The thing as the endpoint of all servers lists it; None where its name grows too long."""
    own = thing.get("name")
    renamed = dict(thing)
    if isinstance(own, str):
        renamed["name"] = join_name(server, own)
        if len(renamed["name"]) > MAX_NAME:
            return None
    if (identity := KINDS[kind]) != "name":
        renamed[identity] = join_uri(server, thing[identity])
    return renamed
