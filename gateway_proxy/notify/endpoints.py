"""Who hears of events: the endpoints that the settings name, each with an id that tells nothing of its secrets."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway_proxy.config.model import Notifications
from gateway_proxy.config.secrets import Secret

TEST_EVENT = "notification.test"
_LABEL = b"gateway-proxy notification endpoint\0"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook, or with `secret` None a notification service. `shown` is its address without what may be secret."""

    id: str
    shown: str
    url: Secret = field(repr=False)
    events: tuple[str, ...]
    secret: Secret | None = field(default=None, repr=False)
    allow_private: bool = False

    @property
    def kind(self) -> str:
        return "service" if self.secret is None else "webhook"

    def wants(self, event_type: str) -> bool:
        """Whether it is to hear of such events."""
        return any(matches(pattern, event_type) for pattern in self.events)


def list_endpoints(settings: Notifications, pepper: bytes) -> list[Endpoint]:
    """The endpoints in the order of the file. The id follows from the URL; of two with the same URL each has its own."""
    found: dict[str, Endpoint] = {}
    for hook in settings.webhooks:
        id_ = _free_id("hook", hook.url, pepper, found)
        found[id_] = Endpoint(
            id_, _show(hook.url), Secret(hook.url), tuple(hook.events), hook.secret, hook.allow_private
        )
    for url in settings.urls:
        id_ = _free_id("service", url.reveal(), pepper, found)
        scheme = url.reveal().partition(":")[0].lower()
        found[id_] = Endpoint(id_, f"{scheme}://…", url, ("*",))
    return list(found.values())


def matches(pattern: str, event_type: str) -> bool:
    """`*` is all, `budget.*` is all that begins with `budget.`, anything else the type itself."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def _free_id(kind: str, url: str, pepper: bytes, taken: Iterable[str]) -> str:
    # A keyed digest: service URLs hold credentials, and some of them could be guessed from a plain one.
    base = f"{kind}-{hmac.digest(pepper, _LABEL + url.encode(), hashlib.sha256).hex()[:12]}"
    id_, number = base, 1
    while id_ in taken:
        number += 1
        id_ = f"{base}-{number}"
    return id_


def _show(url: str) -> str:
    """Scheme, host and path: a query may be a credential."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
