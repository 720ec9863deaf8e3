"""How soon a gateway that was cut off from its store, or from its counters, is like any other again.

Counted from the moment in which the network is back: to the first answer by a change that was made meanwhile, and to the
first answer to a key whose budget could not be verified meanwhile.
"""

import time
from collections.abc import Callable

from tests.rig.cluster import Cluster
from tests.rig.fault_proxy import FaultProxy
from tests.support.waiting import wait_until

__all__ = ["FAULTS", "measure_counters", "measure_store"]

FAULTS = ("blackhole", "lossy", "refuse", "forget")
"""What is lost arrives later; what is lost is lost; whoever calls is refused; connections are half-open, and new ones work."""


def measure_store(cluster: Cluster, number: int, fault: str, away_seconds: float) -> float:
    """Seconds from the return of the network to the first request that is judged by what was changed meanwhile."""
    there, cut = cluster.gateways[0], cluster.gateways[number]
    key = cluster.create_key("healing")
    assert cut.ask(key.secret)[0] == 200
    begun = _begin(cluster.links[number], fault)
    there.revoke_key(key.id)
    return _end(cluster.links[number], fault, begun, away_seconds, lambda: cut.ask(key.secret)[0] == 401)


def measure_counters(cluster: Cluster, number: int, fault: str, away_seconds: float) -> float:
    """Seconds from the return of the network to the first request that a budget pays for."""
    cut = cluster.gateways[number]
    key = cluster.create_key("healing", budget_usd="1")
    wait_until(lambda: cut.ask(key.secret)[0] == 200)
    begun = _begin(cluster.redis_links[number], fault)
    wait_until(lambda: cut.ask(key.secret)[0] == 503)
    return _end(
        cluster.redis_links[number], fault, begun, away_seconds, lambda: cut.ask(key.secret)[0] == 200
    )


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
    wait_until(is_live)
    return time.monotonic() - begun
