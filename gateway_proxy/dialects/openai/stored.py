"""Ids of what an OpenAI provider keeps: which ones a request names, and which ones an answer brings."""

import re
from collections.abc import Iterator
from typing import Any

from gateway_proxy.core.errors import BadExchange
from gateway_proxy.core.kept import Kept, Reference
from gateway_proxy.core.route import Route
from gateway_proxy.dialects.members import read_flag, read_text, wrong_type

MAX_IDS = 256
# Fit to stand in a path as one segment.
_ID = r"[A-Za-z0-9_-][A-Za-z0-9_.:-]{0,199}"
_READ = re.compile(rf"/responses/({_ID})(/cancel|/input_items)?((?:\?.*)?)", re.ASCII)
_MADE = re.compile(_ID, re.ASCII)
_ID_MEMBERS = frozenset(("file_id", "container_id", "skill_id", "vector_store_id"))
_LIST_MEMBERS = frozenset(("file_ids", "vector_store_ids"))


def identify_read(operation: str, path: str, body: bytes) -> Route:
    """A request for a stored response itself: it generates nothing. Raises BadExchange."""
    found = _READ.fullmatch(path)
    if found is None:
        raise BadExchange("There is nothing at this path.", status=404, code="route_not_found")
    if body.strip() not in (b"", b"{}"):
        raise BadExchange("This request takes no body.", code="invalid_type")
    return Route(
        operation=operation,
        path=path,
        model="",
        max_output_tokens=0,
        stream="stream=true" in found[3][1:].split("&"),
        free=True,
        kept=Kept([Reference(found[1], "response_id")], keeps=True),
    )


def understand_store(body: dict[str, Any], route: Route) -> Kept:
    """What a responses body has to do with kept things, apart from its input. Raises BadExchange."""
    if body.get("request_id") is not None:  # some servers take it for the id of the answer
        raise BadExchange(
            "'request_id' is not accepted: ids of responses are made by the provider.",
            code="invalid_type",
            param="request_id",
        )
    kept = route.kept = Kept()
    wants = read_flag(body, "store")
    kept.keeps = wants or body.get("store") is None
    if wants:
        kept.demand = "store"
    if read_flag(body, "background"):
        kept.demand = "background"
    previous = read_text(body, "previous_response_id")
    if previous is not None:
        kept.references.append(Reference(previous, "previous_response_id"))
    for name in ("conversation", "prompt"):
        value = body.get(name)
        if value is None:
            continue
        id = value.get("id") if type(value) is dict else value
        if type(id) is not str:
            raise wrong_type(name, "an id, or an object with one")
        kept.references.append(Reference(id, name, shareable=True))
    return kept


def note_item(item: dict[str, Any], kept: Kept, *, is_label: bool) -> None:
    """The ids in one item of the input that is not plain text. `is_label`: its own id names nothing that is needed."""
    id = item.get("id")
    if item.get("type") == "item_reference":
        if type(id) is not str:
            raise wrong_type("input", "items; an item_reference has an id")
        kept.references.append(Reference(id, "input"))
        return
    if type(id) is str and not is_label and type(item.get("encrypted_content")) is not str:
        kept.references.append(Reference(id, "input", soft=True))
    kept.references += find_named(item, "input", soft=not is_label)


def note_parts(messages: list[Any], route: Route) -> None:
    """The ids of files, and of earlier answers' sound, in the messages of a chat that is not plain text."""
    found: list[Reference] = []
    for message in messages:
        found += find_named(message.get("content"), "messages")
        sound = message.get("audio")
        if type(sound) is dict and type(sound.get("id")) is str:
            found.append(Reference(sound["id"], "messages"))
    if found:
        route.kept = Kept(found)


def find_named(value: Any, param: str, *, soft: bool = False) -> Iterator[Reference]:
    """The ids of files and the like anywhere in a value that is not plain text."""
    if type(value) is list:
        for entry in value:
            yield from find_named(entry, param, soft=soft)
    elif type(value) is dict:
        for name, member in value.items():
            if name in _ID_MEMBERS and type(member) is str:
                yield Reference(member, param, soft, True)
            elif name in _LIST_MEMBERS and type(member) is list:
                yield from (Reference(entry, param, soft, True) for entry in member if type(entry) is str)
            else:
                yield from find_named(member, param, soft=soft)


def find_made(answer: dict[str, Any]) -> list[str]:
    """The ids that an answer brings: its own, its items', those of the containers that they ran in.

    Nothing that a client could have chosen: not the ids of its input.
    """
    found = [answer.get("id")]
    items = answer.get("output")
    if type(items) is list:
        for item in items[:MAX_IDS]:
            if type(item) is dict:
                found += (item.get("id"), item.get("container_id"))
    choices = answer.get("choices")
    if type(choices) is list:
        for choice in choices[:MAX_IDS]:
            message = choice.get("message") if type(choice) is dict else None
            sound = message.get("audio") if type(message) is dict else None
            found.append(sound.get("id") if type(sound) is dict else None)
    return [id for id in found if type(id) is str and _MADE.fullmatch(id)][:MAX_IDS]
