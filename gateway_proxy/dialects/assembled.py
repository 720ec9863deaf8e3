"""An event stream as one document: what the answer would have been, had it come whole.

For people who read a log; promises nothing about streams of a form that it does not know (None). Broken streams give what there
was until then. What a stream costs, and what of it reaches the client, is the taps' business.
"""

from collections.abc import Callable
from typing import Any

import orjson

from gateway_proxy.dialects.sse import data_of, split_events

_SET = frozenset(("index", "id", "type", "role", "finish_reason", "object", "model"))
_LAST = (".completed", ".incomplete", ".failed", ".done")
Document = dict[str, Any]


def assemble(stream: bytes) -> Document | None:
    """The whole answer of OpenAI's chats, completions and responses, Anthropic's messages and Gemini's contents."""
    events = split_events(stream) if b"\r" in stream else stream.split(b"\n\n")
    values = [value for value in map(_read, events) if type(value) is dict]
    for is_meant, join in _FORMS:
        if any(map(is_meant, values)):
            document = join(values)
            for value in values:
                if "error" in value:
                    document["error"] = value["error"]
            return document
    return None


def _read(event: bytes) -> Any:
    data = data_of(event)
    for text in (data, data.decode("utf-8", "replace")) if not data.isascii() else (data,):
        try:
            return orjson.loads(text)
        except ValueError:
            continue
    return None


def _kind(value: Document) -> str:
    kind = value.get("type")
    return kind if type(kind) is str else ""


def _dict(value: Any) -> Document:
    return value if type(value) is dict else {}


def _index(value: Document, name: str = "index") -> int:
    index = value.get(name)
    return index if type(index) is int else 0


def _dicts(values: Any) -> list[Document]:
    return [value for value in values if type(value) is dict] if type(values) is list else []


def _merge(into: Document, delta: Document) -> None:
    """Texts go on, lists of things with an index go on by index, all else is what was said last."""
    for name, value in delta.items():
        have = into.get(name)
        if value is None and have is not None:
            continue
        if name in _SET or have is None:
            have = into[name] = [] if type(value) is list else value
        elif type(have) is str and type(value) is str:
            into[name] = have + value
        elif type(have) is dict and type(value) is dict:
            _merge(have, value)
        elif type(have) is not list or type(value) is not list:
            into[name] = value
        if type(have) is list and type(value) is list:
            _merge_list(have, value)


def _merge_list(into: list[Any], delta: list[Any]) -> None:
    for value in delta:
        index = value.get("index") if type(value) is dict else None
        known = next((each for each in _dicts(into) if each.get("index") == index), None)
        if index is None or known is None:
            into.append(value)
        else:
            _merge(known, value)


def _join_chat(values: list[Document]) -> Document:
    """`choices`, of a chat or of text completions."""
    document: Document = {}
    choices: list[Any] = []
    for value in values:
        if "error" not in value:
            document |= {
                name: member for name, member in value.items() if name != "choices" and member is not None
            }
            _merge_list(choices, _dicts(value.get("choices")))
    document["choices"] = [
        {"message" if name == "delta" else name: member for name, member in choice.items()}
        for choice in _dicts(choices)
    ]
    return document


def _join_message(values: list[Document]) -> Document:
    document: Document = {}
    blocks: dict[int, Document] = {}
    inputs: dict[int, str] = {}
    for value in values:
        kind, index = _kind(value), _index(value)
        if kind == "message_start":
            document |= _dict(value.get("message"))
        elif kind == "content_block_start":
            blocks[index] = _dict(value.get("content_block"))
        elif kind == "content_block_delta" and index in blocks:
            delta = {name: member for name, member in _dict(value.get("delta")).items() if name != "type"}
            inputs[index] = inputs.get(index, "") + str(delta.pop("partial_json", ""))
            if "citation" in delta:
                delta = {"citations": [delta["citation"]]}
            _merge(blocks[index], delta)
        elif kind == "message_delta":
            document |= _dict(value.get("delta"))
            document["usage"] = _dict(document.get("usage")) | _dict(value.get("usage"))
    for index, text in inputs.items():
        if text:
            blocks[index]["input"] = _read_input(text)
    document["content"] = list(blocks.values())
    return document


def _read_input(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _join_response(values: list[Document]) -> Document:
    document: Document = {}
    items: dict[int, Any] = {}
    texts: dict[int, str] = {}
    for value in values:
        kind, index = _kind(value), _index(value, "output_index")
        if type(value.get("response")) is dict:
            document |= value["response"]
            if kind.endswith(_LAST):
                return document
        elif kind in ("response.output_item.added", "response.output_item.done"):
            items[index] = value.get("item")
            if kind.endswith(".done"):
                texts.pop(index, None)
        elif kind.endswith(".delta") and type(value.get("delta")) is str:
            texts[index] = texts.get(index, "") + value["delta"]
    document["output"] = list(items.values())
    if texts:
        document["unfinished"] = list(texts.values())
    return document


def _join_contents(values: list[Document]) -> Document:
    document: Document = {}
    candidates: dict[int, Document] = {}
    for value in values:
        if "error" not in value:
            document |= {name: member for name, member in value.items() if name != "candidates"}
        for candidate in _dicts(value.get("candidates")):
            known = candidates.setdefault(_index(candidate), {"content": {"parts": []}})
            content = _dict(candidate.get("content"))
            known |= {name: member for name, member in candidate.items() if name != "content"}
            known["content"] |= {name: member for name, member in content.items() if name != "parts"}
            for part in _dicts(content.get("parts")):
                _add_part(known["content"]["parts"], part)
    document["candidates"] = list(candidates.values())
    return document


def _add_part(parts: list[Document], part: Document) -> None:
    last = parts[-1] if parts else {}
    if (
        type(last.get("text")) is str
        and type(part.get("text")) is str
        and last.get("thought") == part.get("thought")
    ):
        last |= part | {"text": last["text"] + part["text"]}
    else:
        parts.append(part)


def _join_last(values: list[Document]) -> Document:
    """Streams whose last event says all: pictures, transcriptions."""
    return next(value for value in reversed(values) if _kind(value).endswith(_LAST))


_FORMS: tuple[tuple[Callable[[Document], bool], Callable[[list[Document]], Document]], ...] = (
    (lambda value: type(value.get("choices")) is list, _join_chat),
    (lambda value: _kind(value) == "message_start", _join_message),
    (lambda value: _kind(value).startswith("response."), _join_response),
    (lambda value: type(value.get("candidates")) is list, _join_contents),
    (lambda value: _kind(value).endswith(_LAST), _join_last),
)
