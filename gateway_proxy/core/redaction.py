"""Texts as they may stand in a log: what looks like a secret is masked, what is long is cut.

Promises that no value of a member with a telling name, and nothing that has the form of a well-known credential,
remains, in JSON, in JSON within a string of JSON, and in what is neither. It cannot know every secret; so logs hold bodies
only where the settings ask for them.
"""

import re
from functools import lru_cache
from typing import Any

import orjson

MASK = "[redacted]"
MAX_CHARACTERS = 16_384
_NAMES = re.compile(
    r"pass(word|phrase|wd)|secret|token|api[-_]?key|authori[sz]ation|credential|private[-_]?key|cookie|session[-_]?id",
    re.IGNORECASE,
)
# What models count stands in every request and answer: max_tokens, prompt_tokens_details, promptTokenCount, tokenizer.
_COUNTS = re.compile(r"tokens?[-_]?(?:count|details|limit|budget|usage|ize)|tokenize", re.IGNORECASE)
_PLURAL = re.compile(r"tokens$", re.IGNORECASE)
_MEMBER = re.compile(r'"([^"\\\n]{1,128})(\\{0,7})"\s{0,64}:\s{0,64}')
_QUOTE = re.compile(r'(?<!\\)(\\*)"')
_SCALAR = re.compile(r"[^\s,\]}]*")
# Each begins with a letter of its own, by which the search passes over nearly all of a text; that no word goes on there is
# asked behind it.
_VALUES = re.compile(
    r"g(?<!\wg)w[kae]_[\w.-]{16,}"
    r"|B(?<!\wB)(?:earer|asic)\s{1,8}(?=[A-Za-z.~+/=_-]{0,512}\d)[\w.~+/=-]{8,}"
    r"|s(?<!\ws)k-[\w-]{16,}"
    r"|[rp](?<!\w[rp])k-[\w-]{16,}"
    r"|g(?<!\wg)(?:h[pousr]|ithub_pat)_\w{16,}"
    r"|x(?<!\wx)ox[a-z]-[\w-]{8,}"
    r"|A(?<!\wA)(?:KI|SI)A[0-9A-Z]{16}\b"
    r"|A(?<!\wA)Iza[\w-]{30,}"
    r"|e(?<!\we)yJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r'|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^"]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|(?=\\*")|$)'
)
_EDGE = 512  # where a text was cut half a credential may stand, which has no form any more


def redact(value: Any, limit: int = MAX_CHARACTERS) -> str:
    """The value as JSON for a log; at most `limit` characters, and then an ellipsis."""
    text = orjson.dumps(value).decode()
    masked = mask_text(text[: 2 * limit])
    if len(text) > 2 * limit:
        masked = masked[:-_EDGE]
    return masked if len(text) <= 2 * limit and len(masked) <= limit else masked[:limit] + "…"


def mask_text(text: str) -> str:
    """The text without what looks like a secret. JSON stays JSON."""
    pieces: list[str] = []
    at = 0
    for member in _MEMBER.finditer(text):
        start = member.end()
        if member.start() < at or not _is_telling(member[1], text[start : start + 1]):
            continue
        escapes = member[2]
        if not text.endswith(escapes, 0, member.start()):
            continue  # a quote within a string, and one that ends it
        pieces += (text[at:start], f'{escapes}"{MASK}{escapes}"')
        at = _end_of_value(text, start, escapes)
    pieces.append(text[at:])
    return _VALUES.sub(MASK, "".join(pieces))


@lru_cache(4096)
def _is_telling(name: str, first: str) -> bool:
    """`first` is the first character of its value: a plural that is a number says how many."""
    if _NAMES.search(name) is None or _COUNTS.search(name) is not None:
        return False
    return _PLURAL.search(name) is None or first not in "0123456789nu{"


def _end_of_value(text: str, start: int, escapes: str) -> int:
    """Where the value ends that begins at `start`, in JSON whose quotes bear `escapes`; where it is cut, the end of the text."""
    first = text[start : start + 1]
    if first not in ("{", "["):
        if text.startswith(f'{escapes}"', start):
            return _end_of_string(text, start + len(escapes) + 1, len(escapes))
        scalar = _SCALAR.match(text, start)
        return start if scalar is None else scalar.end()
    depth, at = 0, start
    while at < len(text):
        character = text[at]
        if character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
            if not depth:
                return at + 1
        elif character == '"':
            at = _end_of_string(text, at + 1, len(escapes))
            continue
        at += 1
    return at


def _end_of_string(text: str, start: int, depth: int) -> int:
    for quote in _QUOTE.finditer(text, start):
        if _ends(len(quote[1]), depth):
            return quote.end()
    return len(text)


def _ends(backslashes: int, depth: int) -> bool:
    """Whether a quote behind so many backslashes ends a string whose own quotes stand behind `depth` of them."""
    while depth:
        if backslashes % 2 == 0:
            return True  # it ends the string around this one
        backslashes, depth = backslashes // 2, depth // 2
    return backslashes % 2 == 0
