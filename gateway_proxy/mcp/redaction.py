"""Arguments and results as they may stand in a log: what looks like a secret is masked, what is long is cut.

Promises that no value of a member with a telling name, and nothing that has the form of a well-known credential,
remains. It cannot know every secret; so logs hold bodies only where the settings ask for them.
"""

import re
from typing import Any

import orjson

MASK = "[redacted]"
MAX_CHARACTERS = 16_384
_NAMES = re.compile(
    r"pass(word|phrase|wd)|secret|token|api[-_]?key|authori[sz]ation|credential|private[-_]?key|cookie|session[-_]?id",
    re.IGNORECASE,
)
_VALUES = re.compile(
    r"\bgw[kae]_[\w.-]{16,}"
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}"
    r"|\b(?:sk|rk|pk)-[\w-]{16,}"
    r"|\b(?:gh[pousr]|github_pat)_\w{16,}"
    r"|\bxox[a-z]-[\w-]{8,}"
    r"|\bA(?:KI|SI)A[0-9A-Z]{16}\b"
    r"|\bAIza[\w-]{30,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)
_MAX_TEXT = 65_536


def redact(value: Any) -> str:
    """The value as JSON for a log; at most MAX_CHARACTERS, and then an ellipsis."""
    text = orjson.dumps(_mask(value)).decode()
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"


def _mask(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: MASK if _NAMES.search(name) else _mask(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_mask(item) for item in value]
    if isinstance(value, str):
        return _VALUES.sub(MASK, value[:_MAX_TEXT])
    return value
