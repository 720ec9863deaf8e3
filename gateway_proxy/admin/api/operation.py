"""What an operation of the admin API is: one value, from which its route and its description are made.

Nothing here knows HTTP: the command line performs the same operations in its own process.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from gateway_proxy.admin.actor import Actor
from gateway_proxy.admin.problem import Invalid, NotFound
from gateway_proxy.admin.services import Admin
from gateway_proxy.core.ids import Prefix, is_id
from gateway_proxy.keys.fields import FieldError
from gateway_proxy.keys.service import Revisions

Query = TypeVar("Query")
Body = TypeVar("Body")
Method = Literal["GET", "POST", "PATCH", "DELETE"]

# What stands in a path by these names is an id with this prefix; anything else cannot exist.
PREFIXES: dict[str, Prefix] = {
    "key_id": "key",
    "member_id": "mem",
    "organization_id": "org",
    "gateway_id": "gtw",
    "token_id": "tok",
    "request_id": "req",
}
_PARAMETER = re.compile(r"{([a-z_]+)}")
_LONGEST_PATH = 64


@dataclass(frozen=True, slots=True)
class Call(Generic[Query, Body]):
    """One call of an operation. `revisions` is what `If-Match` demands."""

    admin: Admin
    actor: Actor
    ids: Mapping[str, str]
    query: Query
    body: Body
    revisions: Revisions = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers: JSON, or nothing. `revision` goes into `ETag`."""

    body: Any = None
    revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One line of the table. Path parameters are written `{key_id}`.

    `query` and `body` are the models that judge what is sent; with `judged_by_service` the body's model only
    describes it, and the handler gets the document as it came.
    """

    method: Method
    path: str
    name: str  # unique; camelCase, as generated clients name their methods
    summary: str
    handler: Callable[[Call[Any, Any]], Awaitable[Answer]]
    answer: type[BaseModel] | None = None
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    judged_by_service: bool = False
    if_match: bool = False
    idempotent: bool = False
    conflicts: bool = False  # may answer 409
    asks_gateway: bool = False  # answers 503 while the gateway does not

    @property
    def tag(self) -> str:
        """The resource: the first part of the path."""
        return self.path.split("/")[1]

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return _PARAMETER.findall(self.path)


async def perform(
    operation: Operation,
    admin: Admin,
    actor: Actor,
    *,
    ids: Mapping[str, str],
    query: Sequence[tuple[str, str]] = (),
    document: object = None,
    revisions: Revisions = None,
) -> Answer:
    """Judge what was sent and do it. Raises Problem. `document` is the body as parsed, None without one."""
    for name, value in ids.items():
        prefix = PREFIXES.get(name)
        if prefix is not None and not is_id(value, prefix):
            raise NotFound(f"there is nothing of that id; ids here look like {prefix}_…")
    asked = _read_query(operation.query, query)
    body = {} if document is None and operation.body_optional else document
    if operation.body is not None and not operation.judged_by_service:
        body = _validated(operation.body, body)
    return await operation.handler(Call(admin, actor, ids, asked, body, revisions))


def _read_query(model: type[BaseModel] | None, pairs: Sequence[tuple[str, str]]) -> BaseModel | None:
    given = dict(pairs)
    if len(given) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = [name for name in times if times[name] > 1]
        raise Invalid([FieldError(clip_path(name), "stands there more than once") for name in twice])
    if model is not None:
        return _validated(model, given)
    if given:
        raise Invalid([FieldError(clip_path(name), "is unknown") for name in given])
    return None


def _validated(model: type[BaseModel], value: object) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid([_field_error(mistake) for mistake in error.errors(include_url=False)]) from None


def _field_error(mistake: Any) -> FieldError:
    path = ""
    for step in mistake["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    match mistake["type"]:
        case "extra_forbidden":
            message = "is unknown"
        case "missing":
            message = "is required"
        case "model_type":
            message = "must be a JSON object"
        case "value_error":
            message = str(mistake["ctx"]["error"])
        case _:
            message = mistake["msg"].replace("Input should", "should", 1)
    return FieldError(clip_path(path), message)


def clip_path(path: str) -> str:
    """A path of the client's making, short and printable."""
    text = path.encode("unicode_escape").decode()
    return text if len(text) <= _LONGEST_PATH else f"{text[:_LONGEST_PATH]}…"
