"""Where the shared counters are: `shared.redis_url` taken apart."""

import ssl
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

_PORT = 6379
_ENCRYPTED = ("rediss", "valkeys")


@dataclass(frozen=True, slots=True)
class Address:
    """`path` is set for a Unix socket. The password never shows: `str()` names host and database only."""

    host: str
    port: int
    path: str
    database: int
    user: str
    password: str
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        return f"{self.path or f'{self.host}:{self.port}'}/{self.database}"

    def __repr__(self) -> str:
        return f"Address({self})"


def parse_address(url: str) -> Address:
    """redis://, valkey://, rediss://, valkeys:// as `//user:password@host:port/database`, or `unix:///path?db=0`.

    `?ssl_ca_certs=FILE` names who is believed beside the machine's own authorities. Raises ValueError.
    """
    parts = urlsplit(url)
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    database = asked.get("db", "") if parts.scheme == "unix" else parts.path.strip("/") or asked.get("db", "")
    if database and not database.isdecimal():
        raise ValueError("the database must be a number, for example redis://host:6379/0")
    tls = None
    if parts.scheme in _ENCRYPTED:
        try:
            tls = ssl.create_default_context(cafile=asked.get("ssl_ca_certs"))
        except OSError as error:
            raise ValueError(f"ssl_ca_certs cannot be read: {error.strerror}") from None
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or _PORT,
        path=parts.path if parts.scheme == "unix" else "",
        database=int(database or 0),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
    )
