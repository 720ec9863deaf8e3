"""One message of a client at an MCP endpoint, with all that is needed to answer it."""

from dataclasses import dataclass, field
from typing import Any

from gateway_proxy.core.exchange import Exchange
from gateway_proxy.core.policy import KeyPolicy
from gateway_proxy.mcp.message import Id, Message
from gateway_proxy.mcp.scope import Scope
from gateway_proxy.proxy.answers import StreamAnswer
from gateway_proxy.proxy.mcp.revision import McpRevision
from gateway_proxy.proxy.mcp.sessions import Session
from gateway_proxy.proxy.request import ClientRequest
from gateway_proxy.proxy.runtime import Runtime


@dataclass(slots=True)
class Asked:
    """`server` is that of the path, "" at the endpoint of all; `takes_events` says whether the answer may be a stream.

    `stream` is the one that the answer has become, once something was sent before the response.
    """

    request: ClientRequest
    secret: str | None
    exchange: Exchange
    runtime: Runtime
    revision: McpRevision
    message: Message
    version: str
    server: str
    session: Session | None
    takes_events: bool
    stream: StreamAnswer | None = None
    questions: list[Id] = field(default_factory=list)  # of the server, asked while this runs

    @property
    def policy(self) -> KeyPolicy:
        """That of the key, authenticated."""
        policy = self.exchange.policy
        assert policy is not None
        return policy

    def scope(self) -> Scope:
        """What the key may see and call here, as the lists stand now."""
        revision = self.revision
        return Scope(self.policy, revision.discovery.catalogue, self.server, forbids=revision.forbids)


@dataclass(slots=True)
class Reply:
    """The JSON-RPC answer to one message, and the HTTP status and header lines that carry it."""

    status: int
    value: dict[str, Any] | None
    lines: str = ""
