"""Small forms: what was typed, and the mistakes beside the fields. The form of a key has a module of its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from dashboard.posted import read_posted
from gateway_proxy.admin.problem import Conflict, Invalid, Problem


@dataclass(frozen=True, slots=True)
class PlainForm:
    """Texts as typed, by the name of their field."""

    texts: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.texts.get(name, "")


class Mistakes:
    """Messages by field; those of no field of the form are under ""."""

    def __init__(self, messages: Iterable[tuple[str, str]] = (), fields: Sequence[str] = ()) -> None:
        self._by_field: dict[str, list[str]] = {}
        for path, message in messages:
            text = message[:1].upper() + message[1:]
            text = text if text.endswith((".", "!", "?")) else f"{text}."
            self._by_field.setdefault(path if path in fields else "", []).append(text)

    @property
    def any(self) -> bool:
        return bool(self._by_field)

    def of(self, name: str) -> list[str]:
        return self._by_field.get(name, [])


async def read_form(request: web.Request, fields: Sequence[str]) -> PlainForm:
    """The texts of these fields; others are passed over."""
    posted = await read_posted(request)
    texts = {}
    for name in fields:
        value = posted.get(name, "")
        texts[name] = value.strip() if isinstance(value, str) else ""
    return PlainForm(texts)


def find_mistakes(problem: Problem, fields: Sequence[str]) -> Mistakes:
    """What a refusal says, at the fields it names. Raises the problem again where no form can mend it."""
    if isinstance(problem, Invalid):
        return Mistakes(((error.path, error.message) for error in problem.errors), fields)
    if isinstance(problem, Conflict):
        return Mistakes([("", problem.detail)])
    raise problem
