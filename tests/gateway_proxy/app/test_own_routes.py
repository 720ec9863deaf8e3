"""Every listed path that dispatches nothing is answered by somebody."""

from types import SimpleNamespace
from typing import Any

from gateway_proxy.app.own_routes import add_own_routes
from gateway_proxy.proxy.routes import list_routes


def test_every_path_of_its_own_is_answered() -> None:
    plane, mint = SimpleNamespace(), SimpleNamespace(mint=object())
    anything: Any = plane
    add_own_routes(anything, SimpleNamespace(), mint)  # type: ignore[arg-type]
    for route in list_routes():
        if route.operation or route.path in ("/healthz", "/readyz"):
            continue
        if route.method == "POST":
            assert plane.acts[route.path] is mint.mint
        elif "{id}" in route.path:
            assert route.path.removesuffix("{id}") in plane.prefix_queries
        else:
            assert route.path in plane.queries
