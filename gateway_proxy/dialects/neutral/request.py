"""A chat request without a wire format.

What a dialect can say and this form cannot is refused by that dialect's reader; what this form holds and a dialect cannot
say is refused by its writer. Both raise `Inexpressible`, so nothing is lost on the way without a word.
"""

from dataclasses import dataclass, field
from typing import Any

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a model shall think, in ascending order."""


class Inexpressible(Exception):
    """This request cannot be said in the other dialect.

    `member` is an attribute of `Request`, or a path in the client's own body; `why` completes "… cannot be translated: ".
    """

    def __init__(self, member: str, why: str) -> None:
        super().__init__(f"{member}: {why}")
        self.member = member
        self.why = why


@dataclass(slots=True)
class Text:
    """`cache`: the mark that lets a provider cache everything up to here, as Anthropic writes it."""

    text: str
    cache: Any = None


@dataclass(slots=True)
class Media:
    """A picture, a sound or a document: base64 `data` of a `media_type`, or a `url`, whose type may be unknown ("")."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    name: str = ""
    cache: Any = None


@dataclass(slots=True)
class Call:
    """A tool's use by the model. `signature`: what Gemini wants back with it."""

    id: str
    name: str
    arguments: dict[str, Any]
    signature: str = ""
    cache: Any = None


@dataclass(slots=True)
class Result:
    """What a tool answered to the call with this id."""

    call_id: str
    parts: list[Text | Media]
    is_error: bool = False
    cache: Any = None


@dataclass(slots=True)
class Thinking:
    """Thoughts of the model, with what proves to Anthropic that they are its own; `redacted` stands for text that is hidden."""

    text: str = ""
    signature: str = ""
    redacted: str = ""


Part = Text | Media | Call | Result | Thinking


@dataclass(slots=True)
class Turn:
    """One message. Calls and thoughts are the assistant's, results and media the user's."""

    role: str  # user | assistant
    parts: list[Part]


@dataclass(slots=True)
class Tool:
    """A function that runs at the client; `schema` is JSON Schema."""

    name: str
    description: str
    schema: dict[str, Any]
    strict: bool = False
    cache: Any = None


@dataclass(slots=True)
class Format:
    """The answer's form: JSON of this schema, or any JSON object where it is None."""

    schema: dict[str, Any] | None
    name: str = "answer"
    strict: bool = True


@dataclass(slots=True)
class Request:
    """One request. None means: not said."""

    system: list[Text] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    choice: str | None = None  # auto | none | any | tool
    chosen: str = ""  # the tool's name, if choice is "tool"
    parallel: bool | None = None  # several calls in one answer
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: list[str] = field(default_factory=list)
    format: Format | None = None
    effort: str | None = None  # of EFFORTS
    thinking_tokens: int | None = None  # the same as a number of tokens
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    user: str | None = None
    tier: str | None = None  # standard: not the tier that costs more
    stream: bool = False
    wants_usage: bool = True  # of a stream
