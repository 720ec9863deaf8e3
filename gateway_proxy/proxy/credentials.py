"""The client's credential, wherever its SDK puts it; two different ones are refused."""

from multidict import CIMultiDictProxy

from gateway_proxy.core.errors import BadExchange

_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
MAX_SECRET_CHARACTERS = 4096


def find_secret(headers: "CIMultiDictProxy[str]") -> str | None:
    """The one secret of the request, None without any. Raises BadExchange for two different ones."""
    secret: str | None = None
    for value in headers.getall("Authorization", ()):
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            secret = _same(secret, token.strip(" \t"))
    for name in _HEADERS:
        for value in headers.getall(name, ()):
            secret = _same(secret, value.strip(" \t"))
    if secret is not None and len(secret) > MAX_SECRET_CHARACTERS:
        return "garbled"
    return secret


def two_credentials() -> BadExchange:
    """The refusal of a request with two different credentials."""
    return BadExchange(
        "The request carries two different credentials; send one.", code="conflicting_credentials"
    )


def _same(first: str | None, second: str) -> str:
    if first is not None and first != second:
        raise two_credentials()
    return second
