"""URLs of the servers that gateways share: PostgreSQL, and Redis or Valkey.

Promises that what is taken can be read in one way only, so that no part of a password is taken for the name of a database
and shown, and that a refusal repeats nothing of the URL. Whether anybody is there does not belong here.
"""

import re
import ssl
from urllib.parse import SplitResult, parse_qsl

from gateway_proxy.config.values import split_url

_POSTGRES_SOCKET = re.compile(r"postgresql://[^/\s]*@?/[^?\s]+\?(?:[^\s]*&)?host=/[^\s]+\Z")
_REDIS_SOCKET = re.compile(r"unix://([^/\s@]*@)?/[^?\s]+(\?db=\d+)?\Z")
_REDIS_SCHEMES = ("rediss", "valkeys", "valkey", "redis")
_REDIS_PARAMETERS = ("db", "ssl_ca_certs")
_UNREADABLE = "cannot be read: percent-encode special characters of user and password, as in %40 for @"


def check_postgres_url(text: str) -> None:
    """Raises ValueError that says what to write instead."""
    if not text.startswith("postgresql://"):
        raise ValueError("must be a store; write sqlite:PATH or postgresql://user:password@host/database")
    # A server on this machine is reached through its folder: postgresql://user@/database?host=/run/postgresql
    if _POSTGRES_SOCKET.match(text):
        return
    _split(text, ("postgresql",))


def check_redis_url(text: str) -> None:
    """Raises ValueError that says what to write instead."""
    # A server on this machine is reached through its socket: unix:///run/redis/redis.sock?db=0
    if _REDIS_SOCKET.match(text):
        return
    parts = _split(text, _REDIS_SCHEMES)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    if any(name not in _REDIS_PARAMETERS for name, _ in asked):
        raise ValueError(
            f"takes no parameters after the question mark but {' and '.join(_REDIS_PARAMETERS)}; remove the others"
        )
    _check_authority(dict(asked).get("ssl_ca_certs", ""))
    numbers = [parts.path.strip("/"), *(value for name, value in asked if name == "db")]
    if any(number and not (number.isascii() and number.isdecimal()) for number in numbers):
        raise ValueError("must name a database by its number; write for example redis://host:6379/0")


def _check_authority(path: str) -> None:
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            reason = (
                error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "no certificate"
            )
            raise ValueError(f"names a file of ssl_ca_certs that cannot be used: {reason}") from None


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
    parts = split_url(text, schemes)
    if "#" in text or re.search(r"[/:@]", parts.path.removeprefix("/").removesuffix("/")):
        raise ValueError(_UNREADABLE)
    return parts
