"""Under which addresses people reach the admin site, from the settings: for links, and for the Host check."""

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from gateway_proxy.config.model import Server

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def find_base_url(server: Server) -> str:
    """What links begin with, without a final slash: `public_url`, else the address of the dashboard itself."""
    if server.public_url:
        return server.public_url
    listen = server.admin_listen or server.listen
    host = "127.0.0.1" if listen.host in ("0.0.0.0", "::") else listen.host
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if server.tls.cert else 'http'}://{shown}:{listen.port}"


def find_data_origin(server: Server | None, page_host: str) -> str:
    """The origin of the data plane where it is not that of the dashboard, "" where it is.

    `page_host` is the name under which the dashboard was reached: it stands for a listener on all addresses.
    """
    if server is None or server.admin_listen is None:
        return ""
    listen = server.listen
    host = page_host if listen.host in ("0.0.0.0", "::") else listen.host
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if server.tls.cert else 'http'}://{shown}:{listen.port}"


def split_host(host: str) -> tuple[str, str]:
    """Name and port ("" if none) of a Host header, lower-cased, brackets removed. ("", "") if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        port = "" if parts.port is None else str(parts.port)
    except ValueError:
        return "", ""
    if parts.path or parts.query or parts.fragment or "@" in host or "\\" in host:
        return "", ""
    return (parts.hostname or "").rstrip("."), port


def host_checker(server: Server) -> Callable[[str], bool]:
    """Tells whether a Host header is one of ours; all others may be DNS rebinding.

    `allowed_hosts` where given, else the listen address, localhost and `public_url`. A gateway that listens on all
    addresses is known by every address, since only names can be rebound.
    """
    if server.allowed_hosts:
        allowed = {split_host(host) for host in server.allowed_hosts}
        any_address = False
    else:
        listening = [listen.host for listen in (server.listen, server.admin_listen) if listen is not None]
        names = [*LOOPBACK_NAMES, *listening]
        if server.public_url:
            names.append(urlsplit(server.public_url).hostname or "")
        allowed = {(name.lower(), "") for name in names}
        any_address = any(host in ("0.0.0.0", "::") for host in listening)

    def is_ours(header: str) -> bool:
        name, port = split_host(header)
        if not name:
            return False
        return (name, "") in allowed or (name, port) in allowed or (any_address and _is_address(name))

    return is_ours


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
