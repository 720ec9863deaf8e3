"""Chats in the neutral form, at random, and what tests do with them in any dialect."""

from collections.abc import Iterable
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway_proxy.core.catalog import Target
from gateway_proxy.core.dialect import Dialect
from gateway_proxy.core.route import Route
from gateway_proxy.dialects import sse
from gateway_proxy.dialects.neutral.answer import (
    Answer,
    Begin,
    CallBegin,
    CallDelta,
    End,
    Event,
    Finish,
    Stop,
    StreamReader,
    StreamWriter,
    TextDelta,
    ThinkingDelta,
)
from gateway_proxy.dialects.neutral.request import (
    Call,
    Format,
    Media,
    Request,
    Result,
    Text,
    Thinking,
    Tool,
    Turn,
)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(names, json_values, max_size=3)
pictures = st.builds(Media, st.just("image/png"), st.just("aGk=")) | st.builds(
    Media, st.just("image/*"), st.just(""), st.just("https://example.com/a.png")
)
calls = st.builds(Call, names, names, objects)
said = st.builds(Text, texts)
schemas = objects.map(lambda schema: {**schema, "type": "object"})


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    """Questions and answers; calls are followed by their results, and nothing stands twice in a row."""
    found: list[Turn] = []
    for _ in range(draw(st.integers(1, 3))):
        found.append(Turn("user", draw(st.lists(said | pictures, min_size=1, max_size=2))))
        text = draw(st.lists(said, max_size=1))
        made = draw(st.lists(calls, max_size=2, unique_by=lambda call: call.id))
        if text or made:
            found.append(Turn("assistant", [*text, *made]))
        if made:
            results = [Result(call.id, draw(st.lists(said, min_size=1, max_size=1))) for call in made]
            found.append(Turn("user", list(results)))
            found.append(Turn("assistant", [draw(said)]))
    return found


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """What every dialect can say."""
    request = Request(
        system=draw(st.lists(said, max_size=1)),
        turns=draw(turns()),
        tools=draw(st.lists(st.builds(Tool, names, st.just("") | texts, schemas), max_size=2)),
        max_tokens=draw(st.integers(1, 5000)),
        temperature=draw(st.none() | st.sampled_from((0, 0.5, 1))),
        top_p=draw(st.none() | st.sampled_from((0.1, 0.9))),
        stop=draw(st.lists(texts, max_size=3)),
        stream=draw(st.booleans()),
    )
    if request.tools:
        request.choice = draw(st.sampled_from((None, "auto", "none", "any", "tool")))
        request.chosen = request.tools[0].name if request.choice == "tool" else ""
    if draw(st.booleans()):
        request.format = Format(draw(objects))
    return request


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Thoughts, then text, then calls."""
    parts: list[Text | Call | Thinking] = []
    parts += draw(st.lists(st.builds(Thinking, texts), max_size=1))
    parts += draw(st.lists(said, max_size=1))
    parts += draw(st.lists(calls, max_size=2, unique_by=lambda call: call.id))
    reason = draw(st.sampled_from(("stop", "length", "refused")))
    return Answer(
        draw(names), draw(names), parts, Stop("calls" if any(type(p) is Call for p in parts) else reason)
    )


def send(dialect: Dialect, route: Route, model: str, cap: int | None) -> Any:
    """The body as it would leave, parsed."""
    return orjson.loads(dialect.encode(route, Target("p", model), cap, False)[0])


def as_events(answer: Answer) -> list[Event]:
    """The answer as a stream tells it, each text in two pieces."""
    events: list[Event] = [Begin(answer.id, answer.model)]
    number = -1
    for part in answer.parts:
        if isinstance(part, Call):
            number += 1
            text = orjson.dumps(part.arguments).decode()
            events += [CallBegin(number, part.id, part.name), CallDelta(number, text[:1])]
            events += [CallDelta(number, text[1:])] if text[1:] else []
        else:
            make = ThinkingDelta if isinstance(part, Thinking) else TextDelta
            events += [make(piece) for piece in (part.text[:1], part.text[1:]) if piece]
    return [*events, Finish(answer.stop)]


def write_stream(writer: StreamWriter, events: Iterable[Event]) -> bytes:
    """All bytes of a stream without usage."""
    return b"".join([writer.write(event) for event in events]) + writer.end(None)


def read_stream(reader: StreamReader, stream: bytes) -> list[Event]:
    """All events but the end, which must be there."""
    events = [event for piece in sse.split_events(stream) for event in reader.read(sse.data_of(piece))]
    assert events and isinstance(events[-1], End)
    return events[:-1]


def collect(events: Iterable[Event]) -> Answer:
    """The answer that a stream told."""
    answer = Answer("", "", [], Stop(""))
    arguments: dict[int, str] = {}
    found: dict[int, Call] = {}
    for event in events:
        if isinstance(event, Begin):
            answer.id, answer.model = event.id, event.model
        elif isinstance(event, CallBegin):
            found[event.number] = Call(event.id, event.name, {})
            arguments[event.number] = ""
            answer.parts.append(found[event.number])
        elif isinstance(event, CallDelta):
            arguments[event.number] += event.text
        elif isinstance(event, Finish):
            answer.stop = event.stop
        elif isinstance(event, TextDelta | ThinkingDelta):
            kind = Text if isinstance(event, TextDelta) else Thinking
            if answer.parts and type(answer.parts[-1]) is kind:
                answer.parts[-1].text += event.text
            else:
                answer.parts.append(kind(event.text))
    for number, call in found.items():
        call.arguments = orjson.loads(arguments[number] or "{}")
    return answer


@st.composite
def damaged(draw: st.DrawFn, value: Any) -> Any:
    """The value with one of its members, at any depth, replaced by something else."""
    if draw(st.integers(0, 3)) and isinstance(value, dict | list) and value:
        at = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        copy: Any = dict(value) if isinstance(value, dict) else list(value)
        copy[at] = draw(damaged(value[at]))
        return copy
    return draw(json_values)
