"""MCP servers as the file declares them: how they are reached, what they may take, what they cost.

Promises what one table can promise on its own; url or command, and what goes with which, belongs to `contradictions`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from gateway_proxy.config.credentials import AnySecret, HeaderSecret, HeaderValue
from gateway_proxy.config.values import (
    Command,
    HeaderName,
    Items,
    OptionalFolder,
    Seconds,
    Section,
    ServerName,
    Usd,
    VariableName,
    WebUrl,
    setting,
)

_OWN_HEADERS = frozenset(
    (
        "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "te", "trailer",
        "transfer-encoding", "upgrade", "last-event-id",
    )
)  # fmt: skip


def _check_header(name: str) -> str:
    if name.lower() in _OWN_HEADERS or name.lower().startswith("mcp-"):
        raise ValueError("is a header that the gateway writes itself; write the name of the credential's")
    return name


def _check_user(name: str) -> str:
    if not name or ":" in name or not name.isprintable():
        raise ValueError("must be a user name without colon (RFC 7617, 2); write one")
    return name


def _check_tool(name: str) -> str:
    if not name or len(name) > 128:
        raise ValueError("must be the name of a tool: 1 to 128 characters")
    return name


ToolName = Annotated[
    str, AfterValidator(_check_tool), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 128})
]
Scope = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]
Bytes = Annotated[int, Field(ge=1024, le=2**50)]


class HeaderAuth(Section):
    """A header of the server's own."""

    name: Annotated[HeaderName, AfterValidator(_check_header)] = setting(..., "Name of the header.")
    value: HeaderValue = setting(..., "Its value, as env:NAME or file:PATH.")


class BasicAuth(Section):
    """HTTP Basic."""

    username: Annotated[str, AfterValidator(_check_user)] = setting(..., "User name.")
    password: AnySecret = setting(..., "Password, as env:NAME or file:PATH.")


class OAuth2(Section):
    """OAuth 2 client credentials: tokens are fetched, and fetched again before they expire."""

    token_url: WebUrl = setting(..., "The authorization server's token endpoint.")
    client_id: Annotated[str, Field(min_length=1)] = setting(..., "The gateway's client id there.")
    client_secret: AnySecret = setting(..., "Its secret, as env:NAME or file:PATH.")
    scopes: Items[Scope] = setting((), "Scopes to ask for.")
    send_secret: Literal["basic", "post"] = setting(
        "basic", "How the secret is sent: in the Authorization header, or in the body."
    )


class McpAuth(Section):
    """How the gateway signs in at an MCP server: one of these, or none."""

    bearer: HeaderSecret | None = setting(None, "Bearer token, as env:NAME or file:PATH.")
    header: HeaderAuth | None = setting(None, "A header of the server's own.")
    basic: BasicAuth | None = setting(None, "User name and password.")
    oauth2: OAuth2 | None = setting(None, "OAuth 2 client credentials.")


class McpTimeouts(Section):
    """How long a server may take, in seconds."""

    connect: Seconds = setting(5, "Seconds to open a connection, TLS included.")
    start: Seconds = setting(30, "Seconds until a command has answered for the first time.")
    lists: Seconds = setting(10, "Seconds to answer when the gateway asks what it offers.")
    silence: Seconds = setting(300, "Seconds of silence within a call.")


class McpLimits(Section):
    """What each process of a command may take; left out = as the gateway itself."""

    memory_bytes: Bytes | None = setting(None, "Address space (RLIMIT_AS).")
    file_bytes: Bytes | None = setting(None, "Largest file that it may write (RLIMIT_FSIZE).")
    cpu_seconds: Annotated[int, Field(ge=1, le=2**31)] | None = setting(
        None, "Processor time, then it is ended and started anew (RLIMIT_CPU)."
    )
    open_files: Annotated[int, Field(ge=16, le=2**20)] | None = setting(None, "Open files (RLIMIT_NOFILE).")


class McpServer(Section):
    """An MCP server: a URL or a command."""

    name: ServerName = setting(..., "Unique name; part of the path /mcp/NAME.")
    url: WebUrl | None = setting(None, "Its endpoint.")
    transport: Literal["auto", "http", "sse"] = setting(
        "auto", "What the URL speaks: Streamable HTTP or the older HTTP+SSE; auto = found out."
    )
    auth: McpAuth = setting({}, "Credential for the URL.")
    allow_private: bool = setting(
        False, "The URL, and the token_url, may lead to private, loopback and link-local addresses."
    )
    command: Command = setting((), "Program and arguments that serve MCP on standard input and output.")
    env: dict[VariableName, AnySecret] = setting(
        {},
        "Environment of the command beside PATH, HOME, LANG and the like; values are env:NAME or file:PATH.",
    )
    cwd: OptionalFolder = setting("", "Folder that the command runs in; empty = that of this file.")
    limits: McpLimits = setting({}, "What the command may take.")
    timeouts: McpTimeouts = setting({}, "How long it may take.")
    max_output_bytes: Bytes = setting(8_388_608, "Longest message that it may send.")
    price_per_call: Usd = setting("0", "USD per tool call.")
    tool_prices: dict[ToolName, Usd] = setting({}, "USD per call of single tools, instead of price_per_call.")
    on_changed_tool: Literal["flag", "block"] = setting(
        "flag",
        "What becomes of a tool whose definition changed: flagged only, or also not offered, until approved.",
    )


class Mcp(Section):
    """The MCP gateway."""

    denied_style: Literal["unknown", "forbidden"] = setting(
        "unknown", "How a denied server answers: like an unknown one, or as forbidden."
    )
    servers: Items[McpServer] = setting((), "Servers that keys may be allowed to use.")
