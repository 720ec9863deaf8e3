"""How the gateway signs in at an MCP server. A client's own credential never gets here.

Promises that the header's value appears in no repr. Tokens that are fetched belong to `oauth`.
"""

import base64
from dataclasses import dataclass
from typing import Protocol

from gateway_proxy.config.secrets import Secret


class SignIn(Protocol):
    """What makes a request the gateway's."""

    async def headers(self) -> dict[str, str]:
        """To be sent along. Raises UpstreamFailed."""
        ...

    def forget(self, refused: str | None) -> bool:
        """The server refused this Authorization; True if asking again may help."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FixedSignIn:
    """One header, or none."""

    header: str = ""
    value: Secret | None = None

    async def headers(self) -> dict[str, str]:
        return {} if self.value is None else {self.header: self.value.reveal()}

    def forget(self, refused: str | None) -> bool:
        return False

    async def close(self) -> None:
        """Holds nothing."""


def no_sign_in() -> SignIn:
    """For servers that ask for nothing."""
    return FixedSignIn()


def bearer(token: Secret) -> SignIn:
    """RFC 6750, section 2.1."""
    return FixedSignIn("Authorization", Secret(f"Bearer {token.reveal()}"))


def basic(user: str, password: Secret) -> SignIn:
    """RFC 7617, in UTF-8. Raises ValueError for a user with a colon, which cannot be told."""
    if ":" in user:
        raise ValueError("the user name of a basic sign-in must not hold a colon")
    pair = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
    return FixedSignIn("Authorization", Secret(f"Basic {pair}"))


def header(name: str, value: Secret) -> SignIn:
    """A header of the server's own."""
    return FixedSignIn(name, value)
