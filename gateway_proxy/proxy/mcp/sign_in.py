"""How the gateway signs in at an MCP server. A client's own credential never gets here.

Promises that the header's value appears in no repr. OAuth flows do not belong here.
"""

import base64
from dataclasses import dataclass

from gateway_proxy.config.secrets import Secret


@dataclass(frozen=True, slots=True)
class SignIn:
    """One header, or none."""

    header: str = ""
    value: Secret | None = None

    def headers(self) -> dict[str, str]:
        return {} if self.value is None else {self.header: self.value.reveal()}


def no_sign_in() -> SignIn:
    """For servers that ask for nothing."""
    return SignIn()


def bearer(token: Secret) -> SignIn:
    """RFC 6750, section 2.1."""
    return SignIn("Authorization", Secret(f"Bearer {token.reveal()}"))


def basic(user: str, password: Secret) -> SignIn:
    """RFC 7617, in UTF-8. Raises ValueError for a user with a colon, which cannot be told."""
    if ":" in user:
        raise ValueError("the user name of a basic sign-in must not hold a colon")
    pair = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
    return SignIn("Authorization", Secret(f"Basic {pair}"))


def header(name: str, value: Secret) -> SignIn:
    """A header of the server's own."""
    return SignIn(name, value)
