"""The dashboard: pages over the admin services. It reaches them and nothing else: no SQL, no sockets."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web

    from gateway_proxy import MountedGateway

__all__ = ["mount"]


def mount(
    app: "web.Application",
    prefix: str,
    gateway: "MountedGateway | None" = None,
    *,
    api_prefix: str | None = None,
) -> None:
    """Serve the dashboard at `prefix` and the admin API below it, at `/api/v1`, in an application with a gateway.

    `gateway` is what `gateway_proxy.mount` returned; None: the one mounted into this application. `api_prefix` puts the
    API elsewhere. Into the outermost application only. Raises ValueError.
    """
    import gateway_proxy

    gateway_proxy.mount_dashboard(app, prefix, gateway, api_prefix=api_prefix)
