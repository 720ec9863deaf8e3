"""Reads members of a body that is to be translated: what has the wrong type is the client's mistake, what is unknown is refused."""

import re
from collections.abc import Mapping, Set
from typing import Any

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.dialects.members import wrong_type
from gateway_proxy.dialects.neutral.request import Inexpressible, Media
from gateway_proxy.dialects.strict_json import parse_object

_NO_MEMBERS: frozenset[str] = frozenset()
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)


def refuse_others(value: Mapping[str, Any], known: Set[str], where: str = "") -> None:
    """Raises Inexpressible for a member that is not known and says something."""
    if value.keys() <= known:
        return
    for name in value:
        if name not in known and value[name] is not None:
            raise Inexpressible(f"{where}{name[:64]}", "it has no counterpart there")


def take_object(value: Any, where: str) -> dict[str, Any]:
    """An object. Raises BadExchange."""
    if type(value) is not dict:
        raise wrong_type(where, "an object")
    return value


def take_list(value: Any, where: str) -> list[Any]:
    """A list; null is empty. Raises BadExchange."""
    if value is None:
        return []
    if type(value) is not list:
        raise wrong_type(where, "a list")
    return value


def take_text(value: Any, where: str) -> str:
    """A string. Raises BadExchange."""
    if type(value) is not str:
        raise wrong_type(where, "a string")
    return value


def take_number(body: Mapping[str, Any], name: str) -> float | None:
    """A number; None if null or absent. Raises BadExchange."""
    value = body.get(name)
    if value is None or type(value) is int or type(value) is float:
        return value
    raise wrong_type(name, "a number")


def take_integer(body: Mapping[str, Any], name: str) -> int | None:
    """An integer; None if null or absent. Raises BadExchange."""
    value = body.get(name)
    if value is None or type(value) is int:
        return value
    raise wrong_type(name, "an integer")


def take_flag(body: Mapping[str, Any], name: str) -> bool | None:
    """A boolean; None if null or absent. Raises BadExchange."""
    value = body.get(name)
    if value is None or type(value) is bool:
        return value
    raise wrong_type(name, "true or false")


def take_arguments(text: Any, where: str) -> dict[str, Any]:
    """The object in a string of JSON; empty for an empty one. Raises BadExchange."""
    if take_text(text, where) == "":
        return {}
    try:
        return parse_object(text.encode(), _NO_MEMBERS)
    except BadExchange as error:
        raise BadExchange(
            f"{where!r} is not the JSON of an object.",
            code="too_deep" if error.code == "too_deep" else "invalid_type",
            param=where,
        ) from None


def take_media_url(url: str, where: str) -> Media:
    """What a URL shows: the data in it, or where it is to be fetched. Raises Inexpressible."""
    match = _DATA_URL.match(url)
    if match:
        return Media(match[1].lower(), url[match.end() :])
    if url.startswith(("https://", "http://")):
        return Media(url=url)
    raise Inexpressible(where, "only data URLs in base64 and http(s) URLs are understood")
