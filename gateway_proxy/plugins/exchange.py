"""A request as a plugin sees it: everything to read, `extras` to write, and no credential anywhere.

Promises that nothing a plugin does to it reaches what is judged, sent or billed. What the gateway itself knows of a
request belongs to `core.exchange`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from multidict import CIMultiDict, CIMultiDictProxy

from gateway_proxy.core.exchange import Exchange as Inner
from gateway_proxy.core.key import IpAddress

_CREDENTIALS = (
    "authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie",
)  # fmt: skip


class KeyFacts(NamedTuple):
    """The calling key. `parent_id` is that of an ephemeral token's key; `metadata` cannot be written to."""

    id: str
    name: str
    owner: str
    organization: str
    kind: str
    parent_id: str | None
    metadata: Mapping[str, Any]


class TargetFacts(NamedTuple):
    """One way to serve the model: the provider's name, and that provider's own name of the model."""

    provider: str
    model: str


class Exchange:
    """One client request, as far as it has come when the stage runs: what no stage has decided yet is None or empty.

    Everything is read-only but `extras`. Setting anything else raises AttributeError, which refuses the request.
    """

    __slots__ = ("__inner",)
    __inner: Inner

    def __init__(self, inner: Inner) -> None:
        object.__setattr__(self, "_Exchange__inner", inner)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"plugins may write to `extras` only, not {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"plugins may write to `extras` only, not {name!r}")

    def __repr__(self) -> str:
        return f"<Exchange {self.id} {self.method} {self.path}>"

    @property
    def extras(self) -> dict[str, Any]:
        """Notes of plugins for later stages of this request; by custom the key is the stage's name."""
        return self.__inner.extras

    @property
    def id(self) -> str:
        """The request id, `req_…`."""
        return self.__inner.id

    @property
    def method(self) -> str:
        return self.__inner.method

    @property
    def path(self) -> str:
        """Without the query, and without the prefix of a mounted gateway."""
        return self.__inner.path

    @property
    def operation(self) -> str:
        """The endpoint's name in a key's scope: chat, embeddings, …; "" where nothing goes to a provider."""
        return self.__inner.operation

    @property
    def dialect(self) -> str:
        """Of the client: openai, anthropic, gemini or azure."""
        return self.__inner.dialect

    @property
    def headers(self) -> "CIMultiDictProxy[str]":
        """The client's headers, without those that hold credentials."""
        kept = (
            (name, value) for name, value in self.__inner.headers.items() if name.lower() not in _CREDENTIALS
        )
        return CIMultiDictProxy(CIMultiDict(kept))

    @property
    def client_ip(self) -> IpAddress | None:
        """The client's own address, as `trusted_proxies` tell it."""
        return self.__inner.client_ip

    @property
    def received_at(self) -> int:
        """Unix milliseconds."""
        return self.__inner.received_at

    @property
    def trace_id(self) -> str:
        """W3C trace context: 32 hexadecimal digits."""
        return self.__inner.trace_id

    @property
    def client_request_id(self) -> str:
        """The client's own `x-request-id`, "" without one."""
        return self.__inner.client_request_id

    @property
    def key(self) -> KeyFacts | None:
        """The calling key; None before `authenticate`."""
        policy = self.__inner.policy
        if policy is None:
            return None
        key = policy.key
        return KeyFacts(
            key.id, key.name, key.owner, key.organization, key.kind, key.parent_id, freeze(key.metadata)
        )

    @property
    def model(self) -> str:
        """The name that the client asked for; "" before `route`."""
        route = self.__inner.route
        return "" if route is None else route.model

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for; False before `route`."""
        route = self.__inner.route
        return route is not None and route.stream

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The parsed JSON, read-only through and through; None before `route`, and for a multipart form.

        Each call copies it: keep it in a variable.
        """
        route = self.__inner.route
        body = None if route is None else route.body
        return freeze(body) if isinstance(body, dict) else None

    @property
    def targets(self) -> tuple[TargetFacts, ...]:
        """Where the request may go, in order; from `allow` on only where the key may go."""
        return tuple(TargetFacts(target.provider, target.model) for target in self.__inner.targets)

    @property
    def is_trial(self) -> bool:
        """Nobody sent it: somebody asks what would become of such a request. Judge it, and leave no traces of it."""
        return self.__inner.is_trial

    @property
    def bound_nanos(self) -> int | None:
        """The most that one attempt can cost, in nano-USD; None before `budget`, and for a key without a budget."""
        bound = self.__inner.bound
        return None if bound is None else bound.nanos


def freeze(value: Any) -> Any:
    """A read-only copy of JSON: mappings and tuples."""
    if isinstance(value, dict):
        return MappingProxyType({name: freeze(item) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    return value
