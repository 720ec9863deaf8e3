"""Where a provider lives and how long it may take. Values only: no sockets, no environment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9._:%-]+")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454). `host` is lower-case, an IPv6 address stands without brackets."""

    scheme: str
    host: str
    port: int

    @classmethod
    def from_url(cls, url: str) -> Origin:
        """Take the origin of an http or https URL; its path is the caller's affair.

        Raises ValueError, without quoting the URL, which may hold a password.
        """
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the URL has no usable port") from None
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError("the URL must start with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the URL must not hold a user name or a password")
        if host is not None and not host.isascii():
            host = host.encode("idna").decode("ascii")
        if host is None or not _HOST.fullmatch(host):
            raise ValueError("the URL has no usable host")
        return cls(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme])

    @property
    def netloc(self) -> str:
        """`host:port` as a CONNECT target: the port always there, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def host_header(self) -> bytes:
        """The value of the Host header: without the port where it is the scheme's own (RFC 9110 §7.2)."""
        netloc = self.netloc
        if self.port == DEFAULT_PORTS[self.scheme]:
            netloc = netloc.removesuffix(f":{self.port}")
        return netloc.encode("ascii")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds. `connect` covers waiting for a free connection, name look-up, TCP, proxy and TLS;

    `first_byte` runs from the request's first byte out to the end of the response head; `between_bytes` is the
    longest silence within a body and rests while we ourselves have paused reading.
    """

    connect: float = 5.0
    first_byte: float = 600.0
    between_bytes: float = 300.0
