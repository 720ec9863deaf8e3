"""Which forward proxy, if any, the environment wants between us and an origin.

The rules are those of urllib: `http_proxy`, `https_proxy`, `no_proxy` in either case, and an upper-case
`HTTP_PROXY` is not believed in a CGI environment, where a client could set it (httpoxy). Speaking to the proxy
is the work of `dial` (CONNECT, for https) and of the request's author (absolute form, for http).
"""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gateway_proxy.proxy.upstream.origin import Origin


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """A plain HTTP forward proxy. `authorization` is the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: bytes = field(default=b"", repr=False)

    @classmethod
    def from_url(cls, url: str) -> HttpProxy:
        """Parse `[http://][user:password@]host[:port]`. Raises ValueError, never quoting the URL."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http":
            raise ValueError("only http:// proxies are supported; check http_proxy and https_proxy")
        try:
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            host = None
        if not host:
            raise ValueError("the proxy URL has no usable host and port; check http_proxy and https_proxy")
        authorization = b""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            authorization = b"Basic " + base64.b64encode(pair)
        return cls(host, port, authorization)


def proxy_for(origin: Origin) -> HttpProxy | None:
    """The proxy the process environment names for an origin. Raises ValueError when it names an unusable one."""
    url = urllib.request.getproxies_environment().get(origin.scheme)
    if not url or urllib.request.proxy_bypass_environment(origin.netloc):  # type: ignore[attr-defined]
        return None
    return HttpProxy.from_url(url)
