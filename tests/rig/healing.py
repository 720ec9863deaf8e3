"""How soon a gateway that was cut off from its store, or from its counters, is like any other again.

Counted from the moment in which the network is back: to the first answer by a change that was made meanwhile, and to the
first answer to a key whose budget could not be verified meanwhile.
"""

import time
from collections.abc import Callable

from tests.rig.cluster import Cluster
from tests.rig.fault_proxy import FaultProxy
from tests.support.gateway import CreatedKey, RunningGateway

__all__ = ["FAULTS", "measure_counters", "measure_store"]

_BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
_STEP_SECONDS = 0.005
FAULTS = ("blackhole", "lossy", "refuse", "forget")
"""What is lost arrives later; what is lost is lost; whoever calls is refused; connections are half-open, and new ones work."""


def measure_store(cluster: Cluster, number: int, fault: str, away_seconds: float) -> float:
    """Seconds from the return of the network to the first request that is judged by what was changed meanwhile."""
    there, cut = cluster.gateways[0], cluster.gateways[number]
    key, token = cluster.create_key("healing"), there.admin_token()
    assert _ask(cut, key) == 200
    begun = _begin(cluster.links[number], fault)
    assert there.fetch(f"/api/v1/keys/{key.id}/revoke", secret=token, body={})[0] == 200
    return _end(cluster.links[number], fault, begun, away_seconds, lambda: _ask(cut, key) == 401)


def measure_counters(cluster: Cluster, number: int, fault: str, away_seconds: float) -> float:
    """Seconds from the return of the network to the first request that a budget pays for."""
    cut = cluster.gateways[number]
    key = cluster.create_key("healing", budget_usd="1")
    _wait(lambda: _ask(cut, key) == 200)
    begun = _begin(cluster.redis_links[number], fault)
    _wait(lambda: _ask(cut, key) == 503)
    return _end(cluster.redis_links[number], fault, begun, away_seconds, lambda: _ask(cut, key) == 200)


def _begin(link: FaultProxy, fault: str) -> float:
    match fault:
        case "refuse":
            link.reset(refuse=True)
        case "forget":
            link.forget()
        case _:
            link.blackhole()
    return time.monotonic()


def _end(
    link: FaultProxy, fault: str, begun: float, away_seconds: float, is_live: Callable[[], bool]
) -> float:
    if fault != "forget":  # there the network is never away
        time.sleep(max(0.0, begun + away_seconds - time.monotonic()))
        begun = time.monotonic()
        link.heal(lossy=fault == "lossy")
    _wait(is_live)
    return time.monotonic() - begun


def _wait(what: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
    ends = time.monotonic() + timeout_seconds
    while not what():
        assert time.monotonic() < ends, "it does not come about"
        time.sleep(_STEP_SECONDS)


def _ask(gateway: RunningGateway, key: CreatedKey) -> int:
    return gateway.fetch("/v1/chat/completions", secret=key.secret, body=_BODY)[0]
