"""How things of many servers are named at one endpoint, and how a name leads back.

A server's name holds neither `_` nor `+`, so both forms have exactly one reading. URIs need a form of their own: a
scheme may not hold an underscore (RFC 3986, section 3.1).
"""

SEPARATOR = "__"
MAX_NAME = 128
_SCHEME = "mcp+"


def join_name(server: str, name: str) -> str:
    """The name of a server's tool, prompt or resource among those of all servers: `server__name`."""
    return f"{server}{SEPARATOR}{name}"


def split_name(joined: str) -> tuple[str, str] | None:
    """(server, its own name), split at the first `__`; None for a name that no list can hold."""
    server, separator, name = joined.partition(SEPARATOR)
    return (server, name) if server and separator and name and len(joined) <= MAX_NAME else None


def join_uri(server: str, uri: str) -> str:
    """The URI of a server's resource among those of all servers: `mcp+server+uri`."""
    return f"{_SCHEME}{server}+{uri}"


def split_uri(joined: str) -> tuple[str, str] | None:
    """(server, its own URI); None for a URI that is not of this form."""
    server, plus, uri = joined.removeprefix(_SCHEME).partition("+")
    return (server, uri) if joined.startswith(_SCHEME) and server and plus and uri else None
