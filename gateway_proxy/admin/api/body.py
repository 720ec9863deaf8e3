"""Reads JSON bodies of the admin API: exactly one document, nothing in it said twice, of a bounded size.

Unlike on the data plane, a repeated member is a mistake: who administers should be told.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from gateway_proxy.admin.api.operation import clip_path
from gateway_proxy.admin.problem import Invalid, Malformed, TooLarge, WrongType
from gateway_proxy.keys.fields import FieldError

MAX_BODY_BYTES = 1_048_576
MAX_DEPTH = 128
_MOST_REPEATED = 20
_JSON_TYPES = ("application/json", "application/merge-patch+json")


@dataclass(frozen=True, slots=True)
class _Place:
    """A container in the document and how one gets there; the path is only spelled out for mistakes."""

    value: Any
    parent: "_Place | None" = None
    step: str = ""

    def path(self) -> str:
        steps: list[str] = []
        place: _Place | None = self
        while place is not None:
            steps.append(place.step)
            place = place.parent
        return "".join(reversed(steps)).removeprefix(".")


class _Repeated(dict[str, Any]):
    """An object with members that stood there more than once."""

    names: list[str]


def check_type(content_type: str, charset: str | None, encoding: str) -> None:
    """Raises WrongType unless a body of these headers is plain JSON."""
    if content_type not in _JSON_TYPES:
        raise WrongType(f"send the body as application/json, not {content_type[:60]!a}")
    if charset is not None and charset.lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii"):
        raise WrongType("JSON is UTF-8 (RFC 8259, section 8.1); leave the charset out")
    if encoding not in ("", "identity"):
        raise WrongType("send the body without Content-Encoding", code="unsupported_encoding")


def check_size(size: int) -> None:
    """Raises TooLarge."""
    if size > MAX_BODY_BYTES:
        raise TooLarge(f"a body may have {MAX_BODY_BYTES} bytes at most")


def parse_document(body: bytes) -> Any:
    """The document. Raises Malformed (invalid_json, too_deep) or Invalid naming repeated members."""
    try:
        orjson.loads(body)  # the strict judge: UTF-8, no NaN, no lone surrogates
        document = json.loads(body, object_pairs_hook=_keep_repeated)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        if "depth" in str(error) or "ecursion" in str(error):
            raise _too_deep() from None
        raise Malformed(f"the body is not JSON: {_where(error)}") from None
    repeated = _find_repeated(document)
    if repeated:
        raise Invalid([FieldError(path, "stands there more than once") for path in repeated])
    return document


def _keep_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    found = _Repeated(members)
    found.names = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    return found


def _find_repeated(document: Any) -> list[str]:
    """Paths of repeated members, layer by layer since the depth is the client's. Raises Malformed (too_deep)."""
    found: list[str] = []
    layer = [_Place(document)] if _nests(document) else []
    for _ in range(MAX_DEPTH):
        below: list[_Place] = []
        for place in layer:
            if isinstance(place.value, dict):
                if isinstance(place.value, _Repeated) and len(found) < _MOST_REPEATED:
                    found += [clip_path(_Place(None, place, f".{name}").path()) for name in place.value.names]
                below += [_Place(v, place, f".{name}") for name, v in place.value.items() if _nests(v)]
            else:
                below += [_Place(v, place, f"[{index}]") for index, v in enumerate(place.value) if _nests(v)]
        layer = below
        if not layer:
            return found[:_MOST_REPEATED]
    raise _too_deep()


def _nests(value: Any) -> bool:
    return isinstance(value, dict | list)


def _too_deep() -> Malformed:
    return Malformed(f"the body is nested deeper than {MAX_DEPTH} levels", code="too_deep")


def _where(error: ValueError) -> str:
    """The parser's own words, which name a position and never quote the body."""
    return error.msg if isinstance(error, json.JSONDecodeError) else "a number in it is too long"
