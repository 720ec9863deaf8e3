"""Liveness and readiness. Details are for a loopback peer that nobody forwarded for; others get one word."""

import ipaddress
from collections.abc import Callable
from typing import Any

import orjson

from gateway_proxy.proxy.answers import Answer, BaseAnswer
from gateway_proxy.proxy.client_ip import parse_ip
from gateway_proxy.proxy.request import ClientRequest

_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via")
_JSON = "content-type: application/json\r\ncache-control: no-store\r\n"


def may_see_details(request: ClientRequest) -> bool:
    """Whether the request comes from this machine itself, not through a proxy on it."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    peer = parse_ip(request.remote or "")
    return isinstance(peer, ipaddress.IPv4Address | ipaddress.IPv6Address) and peer.is_loopback


class Health:
    """`describe` returns (ready, details)."""

    def __init__(self, describe: Callable[[], tuple[bool, dict[str, Any]]]) -> None:
        self._describe = describe

    def check_alive(self, request: ClientRequest) -> BaseAnswer:
        """`GET /healthz`: the process serves."""
        return Answer(200, _JSON, orjson.dumps({"status": "ok"}))

    def check_ready(self, request: ClientRequest) -> BaseAnswer:
        """`GET /readyz`: 200 when everything works, 503 when something needs somebody's attention."""
        ready, details = self._describe()
        body: dict[str, Any] = {"status": "ready" if ready else "not ready"}
        if may_see_details(request):
            body.update(details)
        return Answer(200 if ready else 503, _JSON, orjson.dumps(body))
