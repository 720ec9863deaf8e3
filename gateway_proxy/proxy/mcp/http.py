"""HTTP towards MCP servers and their authorization servers: sessions that keep no cookies, and failures in our words.

Promises that a connection to a private address is refused unless the settings allow it, whatever a name leads to.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiohttp

from gateway_proxy.core.errors import UpstreamFailed
from gateway_proxy.notify.sockets import is_refused, make_any_socket, make_public_socket
from gateway_proxy.proxy.mcp.answer import broken
from gateway_proxy.proxy.mcp.sign_in import SignIn


def make_http(
    *, connect_seconds: float, silence_seconds: float, allow_private: bool
) -> aiohttp.ClientSession:
    """A client session, for whoever made it to close."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(sock_connect=connect_seconds, sock_read=silence_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(
            limit=0, socket_factory=make_any_socket if allow_private else make_public_socket
        ),
        auto_decompress=False,
    )


@contextmanager
def failures() -> Iterator[None]:
    """What a socket raises, as UpstreamFailed."""
    try:
        yield
    except TimeoutError as error:
        raise UpstreamFailed(
            "The MCP server did not answer in time.",
            code="upstream_timeout",
            status=504,
            detail=type(error).__name__,
        ) from None
    except (aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
        private = is_refused(error)
        raise UpstreamFailed(
            "The MCP server cannot be reached.",
            code="upstream_unavailable",
            status=503,
            detail="its address is not public; set allow_private = true if that is meant"
            if private
            else type(error).__name__,
        ) from None
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamFailed("The MCP server broke off.", detail=type(error).__name__) from None


async def ask_signed_in(
    sign_in: SignIn, send: Callable[[dict[str, str]], Awaitable[aiohttp.ClientResponse]]
) -> aiohttp.ClientResponse:
    """What `send` gets with the headers of the sign-in, and once more with others where these are refused.

    Raises UpstreamFailed.
    """
    with failures():
        signed = await sign_in.headers()
        response = await send(signed)
        if response.status == 401 and sign_in.forget(signed.get("Authorization")):
            response.release()
            response = await send(await sign_in.headers())
        return response


def refusal(status: int) -> UpstreamFailed:
    """What a status means that comes instead of an answer."""
    if status in (401, 403):
        return UpstreamFailed(
            "The MCP server refused the gateway's credential.",
            code="upstream_auth_failed",
            detail=f"status {status}",
        )
    if status >= 500:
        return UpstreamFailed(
            "The MCP server is not available.",
            code="upstream_unavailable",
            status=503,
            detail=f"status {status}",
        )
    return broken(f"the server answered {status} where it should have taken a message")
