"""The route table names every way in."""

from gateway_proxy.proxy.routes import OPERATIONS, list_routes


def test_each_dispatching_route_is_listed_once() -> None:
    routes = list_routes()
    assert len({(route.method, route.path) for route in routes}) == len(routes)
    assert {route.path: route.operation for route in routes if route.operation} == OPERATIONS
    assert all(route.method == ("POST" if route.operation else "GET") for route in routes)


def test_paths_are_plain() -> None:
    assert all(
        path.startswith("/v1/") and path.isascii() and path == path.lower().rstrip("/") for path in OPERATIONS
    )
