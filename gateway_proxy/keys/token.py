"""Ephemeral tokens as text: `gwe_` and a JSON Web Token (RFC 7519) signed with EdDSA (RFC 8037), and back.

A token says all that a gateway must know of it: whose it is, what it may, until when. Whether it still holds (its
key was not revoked, nor its parent rotated) is for whoever has the keys in memory.
"""

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from gateway_proxy.core.ids import is_id
from gateway_proxy.core.key import EPHEMERAL, Key
from gateway_proxy.keys.draft import DraftError, apply_creation
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.secret import pepper_id, preview
from gateway_proxy.keys.signing import SigningKeys, SigningState
from gateway_proxy.keys.view import scope_members

PREFIX = "gwe_"
MAX_TOKEN_CHARACTERS = 3072
AUDIENCE = "gateway-proxy"
# Clocks of gateways differ: a token from a little ahead is not from the future.
MAX_SKEW_MS = 30_000
_ALGORITHM = "EdDSA"
_REQUIRED = ["iss", "aud", "jti", "org", "gen", "iat", "exp", "name", "owner"]
_NOT_IN_TOKEN = frozenset(("name", "owner", "expires_at", "metadata", "strict", "alert_thresholds"))
_BLANK_SCOPES = scope_members(Key(id="", name="", organization="", owner=""))


class Verified(NamedTuple):
    """What a good signature proves: the key as it was signed, and the number of the pair that signed it."""

    key: Key
    number: int


class TokenText:
    """Writes and reads the tokens of one pepper."""

    _prefix: ClassVar[str] = PREFIX

    def __init__(self, pepper: bytes) -> None:
        self.keys = SigningKeys(pepper)
        self._issuer = f"gateway-proxy:{pepper_id(pepper)}"

    def write(self, key: Key, state: SigningState, inherited: frozenset[str] = frozenset()) -> str:
        """The secret for this key. What is `inherited` may be left out to make it fit: the parent is asked anyway.

        Raises DraftError when it is too long still.
        """
        import jwt

        scopes = {
            member: value
            for member, value in scope_members(key).items()
            if member not in _NOT_IN_TOKEN and value != _BLANK_SCOPES[member]
        }
        for left_out in (frozenset[str](), inherited):
            claims = _claims(key, self._issuer) | {m: v for m, v in scopes.items() if m not in left_out}
            private, kid = self.keys.private(state.number), self.keys.kid(state.number)
            secret = PREFIX + jwt.encode(claims, private, algorithm=_ALGORITHM, headers={"kid": kid})
            if len(secret) <= MAX_TOKEN_CHARACTERS:
                return secret
        message = f"are too long for a token of {MAX_TOKEN_CHARACTERS} characters; name fewer, or use a prefix and *"
        longest = max(scopes, key=lambda member: len(str(scopes[member])))
        raise DraftError([FieldError(longest, message)])

    def read(self, secret: str, state: SigningState, now_ms: int) -> Verified | None:
        """What the token proves; None for one that is not ours, not signed by a believed pair, or from the future.

        An expired one is read like any other. Costs about 0.4 ms: remember the answer.
        """
        if len(secret) > MAX_TOKEN_CHARACTERS or not secret.startswith(PREFIX):
            return None
        import jwt

        text = secret.removeprefix(PREFIX)
        try:
            number = self.keys.find_number(jwt.get_unverified_header(text).get("kid"))
            if number is None or not state.believes(number, now_ms):
                return None
            if jwt.get_unverified_header(text)["kid"] != self.keys.kid(number):
                return None
            claims = jwt.decode(
                text, self.keys.public(number), algorithms=[_ALGORITHM], audience=AUDIENCE, issuer=self._issuer,
                # Time is told by our own clock, below.
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False,
                         "strict_aud": True},
            )  # fmt: skip
            key = _read_claims(claims)
        except (jwt.InvalidTokenError, DraftError, KeyError, TypeError, ValueError, RecursionError):
            return None
        begins_at = 1000 * max(claims["iat"], claims.get("nbf", 0))
        return None if begins_at > now_ms + MAX_SKEW_MS else Verified(replace(key, preview=preview(secret)), number)


def _claims(key: Key, issuer: str) -> dict[str, Any]:
    assert key.expires_at is not None
    return {
        "iss": issuer, "aud": AUDIENCE, "jti": key.id, "parent": key.parent_id, "org": key.organization,
        "gen": key.generation, "iat": key.created_at // 1000, "exp": key.expires_at // 1000, "name": key.name,
        "owner": key.owner,
    }  # fmt: skip


def _read_claims(claims: dict[str, Any]) -> Key:
    """Raises DraftError, KeyError, TypeError or ValueError for what we would never have signed."""
    jti, parent, begins, ends = claims["jti"], claims["parent"], claims["iat"], claims["exp"]
    if not is_id(jti, "key") or not (parent is None or is_id(parent, "key")):
        raise ValueError("not the id of a key")
    if type(begins) is not int or type(ends) is not int or type(claims["gen"]) is not int:
        raise ValueError("not a whole number")
    blank = Key(
        id=jti, name="", organization=claims["org"], owner="", kind=EPHEMERAL, parent_id=parent,
        created_at=begins * 1000, expires_at=ends * 1000, generation=claims["gen"],
    )  # fmt: skip
    scopes = {member: claims[member] for member in claims if member in _BLANK_SCOPES and member != "expires_at"}
    return apply_creation(blank, scopes, begins * 1000)
