"""Reads a JSON body so that no other decoder can read it differently.

Promises: UTF-8 only, one document, no NaN, no lone surrogate, at most `MAX_DEPTH` levels, an object at the
top. Repeated members collapse to the last one, and because only a re-serialisation of the returned value may
leave the gateway, nobody downstream ever sees them. What the members mean belongs to the dialects.
"""

import unicodedata
from typing import Any

import orjson

from gateway_proxy.core.errors import BadExchange

MAX_DEPTH = 128

_LONGEST_NAME = 64  # no policy member, however written, is longer
_MOST_JUDGED = 4096
_SEARCHED_FROM_BYTES = 131_072  # measured: below, a copy is quicker than a search for each opener
_MEANINGLESS = str.maketrans("", "", "_-")

# Per set of policy members: these with the names found to resemble none of them; these by their folded form.
_JUDGED: dict[frozenset[str], tuple[set[str], dict[str, str]]] = {}


def parse_object(body: bytes, policy_members: frozenset[str]) -> dict[str, Any]:
    """The body's object. Raises BadExchange: invalid_json, invalid_type, too_deep.

    A member that another decoder might take for one of `policy_members` (`Model`, `maxTokens`, `ſtream`) is
    refused: case-insensitive decoders exist (Go's encoding/json), and they would see what policy did not.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(body, error) from None
    if type(value) is not dict:
        raise BadExchange("The request body must be a JSON object.", code="invalid_type")
    if _may_be_deep(body):
        _check_depth(value)
    refuse_variants(value, policy_members)
    return value


def parse_document(body: bytes) -> Any:
    """The body's value, whatever stands at the top. Raises BadExchange: invalid_json, too_deep."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(body, error) from None
    if (type(value) is dict or type(value) is list) and _may_be_deep(body):
        _check_depth(value)
    return value


def refuse_variants(value: dict[str, Any], policy_members: frozenset[str], parent: str = "") -> None:
    """Raises BadExchange (invalid_json) for a member that only resembles one of `policy_members`."""
    known = _JUDGED.get(policy_members)
    if known is None:
        known = set(policy_members), {_fold(name): name for name in policy_members}
        _JUDGED[policy_members] = known
    judged, folded = known
    if judged.issuperset(value):
        return
    for name in value:
        if name not in judged and len(name) <= _LONGEST_NAME:
            meant = folded.get(_fold(name))
            if meant is not None:
                raise BadExchange(
                    f"Member {name!a} is not {parent + meant!r} but can be taken for it; "
                    f"write {parent + meant!r} exactly, or leave it out.",
                    code="invalid_json",
                    param=parent + meant,
                )
            if len(judged) >= _MOST_JUDGED:
                judged.intersection_update(policy_members)
            judged.add(name)


def _fold(name: str) -> str:
    """One form for all spellings that some decoder treats alike: case, compatibility forms, `_` and `-`."""
    if not name.isascii():
        # Upper-casing first also joins the dotless i and the long s with their plain letters.
        name = unicodedata.normalize("NFKC", name).upper()
    return name.casefold().translate(_MEANINGLESS)


def _may_be_deep(body: bytes) -> bool:
    """Whether there are openers enough. Leaving them out counts them faster than `count` does, which looks at every byte."""
    most = MAX_DEPTH + 1
    size = len(body)
    if size >= _SEARCHED_FROM_BYTES:
        return _count_openers(body, most) > MAX_DEPTH
    openers = 2 * size - len(body.replace(b"{", b"", most)) - len(body.replace(b"[", b"", most))
    return openers > MAX_DEPTH


def _count_openers(body: bytes, most: int) -> int:
    """At most `most`. Copies nothing, for bodies whose copies cost more than a search for each opener."""
    found = 0
    for opener in (b"{", b"["):
        at = body.find(opener)
        while at >= 0 and found < most:
            found += 1
            at = body.find(opener, at + 1)
    return found


def _check_depth(value: Any, left: int = MAX_DEPTH) -> None:
    if left == 0:
        raise _too_deep()
    for member in value.values() if type(value) is dict else value:
        if type(member) is dict or type(member) is list:
            _check_depth(member, left - 1)


def _unreadable(body: bytes, error: orjson.JSONDecodeError) -> BadExchange:
    if "depth" in error.msg or "ecursion" in error.msg:
        return _too_deep()
    return BadExchange(_explain(body, error), code="invalid_json")


def _too_deep() -> BadExchange:
    return BadExchange(f"The request body is nested deeper than {MAX_DEPTH} levels.", code="too_deep")


def _explain(body: bytes, error: orjson.JSONDecodeError) -> str:
    if not body.strip():
        return "The request body is empty; send a JSON object."
    # The parser's own words name a position and never quote the body.
    return f"The request body is not valid JSON: {error.msg}."
