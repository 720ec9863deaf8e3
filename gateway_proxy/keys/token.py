"""Ephemeral tokens as text: `gwe_` and a JSON Web Token (RFC 7519) signed with EdDSA (RFC 8037), and back.

A token says all that a gateway must know of it: whose it is, what it may, until when. Whether it still holds (its
key was not revoked, nor its parent rotated) is for whoever has the keys in memory.
"""

import re
from dataclasses import replace
from typing import Any, NamedTuple

from gateway_proxy.core.ids import is_id
from gateway_proxy.core.key import EPHEMERAL, Key
from gateway_proxy.keys.draft import DraftError, apply_creation
from gateway_proxy.keys.secret import preview
from gateway_proxy.keys.signing import MAX_TTL_SECONDS, PublicKeys, Signer
from gateway_proxy.keys.view import scope_members

PREFIX = "gwe_"
MAX_TOKEN_CHARACTERS = 3072
AUDIENCE = "gateway-proxy"
# Clocks of gateways differ: a token from a little ahead is not from the future.
MAX_SKEW_MS = 30_000
_ALGORITHM = "EdDSA"
# The last of a signature's 86 characters holds two bits: read leniently, 16 spellings would be the same token.
_FORM = re.compile(r"gwe_[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]", re.ASCII)
_REQUIRED = ["iss", "aud", "jti", "org", "gen", "iat", "exp", "name", "owner"]
_NOT_IN_TOKEN = frozenset(("name", "owner", "expires_at", "metadata", "strict", "alert_thresholds"))
_BLANK_SCOPES = scope_members(Key(id="", name="", organization="", owner=""))


class TooLong(ValueError):
    """The scopes do not fit into a token; `member` is the longest of them."""

    def __init__(self, member: str) -> None:
        super().__init__(
            f"is too long for a token of {MAX_TOKEN_CHARACTERS} characters; name fewer, or use a prefix and *"
        )
        self.member = member


class Verified(NamedTuple):
    """What a good signature proves: the key as it was signed, and the pair that signed it."""

    key: Key
    kid: str


def write_token(key: Key, signer: Signer, inherited: frozenset[str] = frozenset()) -> str:
    """The secret for this key. What is `inherited` may be left out to make it fit: the parent is asked anyway.

    Raises TooLong.
    """
    import jwt

    scopes = {
        member: value
        for member, value in scope_members(key).items()
        if member not in _NOT_IN_TOKEN and value != _BLANK_SCOPES[member]
    }
    for left_out in (frozenset[str](), inherited):
        claims = _claims(key, signer.gateway_id) | {m: v for m, v in scopes.items() if m not in left_out}
        secret = PREFIX + jwt.encode(
            claims, signer.private, algorithm=_ALGORITHM, headers={"kid": signer.kid}
        )
        if len(secret) <= MAX_TOKEN_CHARACTERS:
            return secret
    raise TooLong(max(scopes, key=lambda member: len(str(scopes[member])), default="name"))


def read_token(secret: str, pairs: PublicKeys, now_ms: int) -> Verified | None:
    """What the token proves; None for one that is not ours, not signed by a believed pair, or from the future.

    An expired one is read like any other. Costs about 0.4 ms: remember the answer.
    """
    if len(secret) > MAX_TOKEN_CHARACTERS or _FORM.fullmatch(secret) is None:
        return None
    import jwt

    text = secret.removeprefix(PREFIX)
    try:
        pair = pairs.find(jwt.get_unverified_header(text).get("kid"), now_ms)
        if pair is None:
            return None
        claims = jwt.decode(
            text, pairs.load(pair), algorithms=[_ALGORITHM], audience=AUDIENCE, issuer=pair.gateway_id,
            # Time is told by our own clock, below.
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False,
                     "strict_aud": True},
        )  # fmt: skip
        key = _read_claims(claims)
    except (jwt.InvalidTokenError, DraftError, KeyError, TypeError, ValueError, RecursionError):
        return None
    if key.created_at > now_ms + MAX_SKEW_MS:
        return None
    return Verified(replace(key, preview=preview(secret)), pair.kid)


def _claims(key: Key, issuer: str) -> dict[str, Any]:
    assert key.expires_at is not None
    return {
        "iss": issuer, "aud": AUDIENCE, "jti": key.id, "parent": key.parent_id, "org": key.organization,
        "gen": key.generation, "iat": key.created_at // 1000, "exp": key.expires_at // 1000, "name": key.name,
        "owner": key.owner,
    }  # fmt: skip


def _read_claims(claims: dict[str, Any]) -> Key:
    """Raises DraftError, KeyError, TypeError or ValueError for what we would never have signed."""
    jti, parent, organization = claims["jti"], claims["parent"], claims["org"]
    begins, ends, generation = claims["iat"], claims["exp"], claims["gen"]
    if type(jti) is not str or not is_id(jti, "key"):
        raise ValueError("not the id of a key")
    if parent is not None and (type(parent) is not str or not is_id(parent, "key")):
        raise ValueError("not the id of a parent")
    if type(organization) is not str or not type(begins) is type(ends) is type(generation) is int:
        raise ValueError("of another type")
    if not 0 < ends - begins <= MAX_TTL_SECONDS:
        raise ValueError("not the life of a token")
    blank = Key(
        id=jti, name="", organization=organization, owner="", kind=EPHEMERAL, parent_id=parent,
        created_at=begins * 1000, expires_at=ends * 1000, generation=generation,
    )  # fmt: skip
    scopes = {
        member: claims[member] for member in claims if member in _BLANK_SCOPES and member != "expires_at"
    }
    return apply_creation(blank, scopes, begins * 1000)
